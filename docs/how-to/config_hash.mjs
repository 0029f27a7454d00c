import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import canonicalize from "canonicalize";

const config = JSON.parse(readFileSync(process.argv[2], "utf8"));
const text = canonicalize(config);
console.log(createHash("sha256").update(text, "utf8").digest("hex"));
