mode=$(git ls-files --stage "$1" | cut -d " " -f 1)
printf '[["%s","%s","%s"]]' "$1" "$mode" "$(git hash-object "$1")" | sha256sum
