import luigi
import steps


class Clean(luigi.Task):
    minimum = luigi.FloatParameter(default=0.0)

    def output(self):
        return luigi.LocalTarget(
            steps.clean.tagged("raw.txt", "out/clean.txt", self.minimum)
        )

    def run(self):
        steps.clean("raw.txt", "out/clean.txt", self.minimum)


class Total(luigi.Task):
    minimum = luigi.FloatParameter(default=0.0)

    def requires(self):
        return Clean(self.minimum)

    def output(self):
        # Its name depends on the content of its input: unknown until that is there.
        return luigi.LocalTarget(steps.total.tagged(self.input().path, "out/total.txt"))

    def complete(self):
        return self.requires().complete() and super().complete()

    def run(self):
        steps.total(self.input().path, "out/total.txt")
