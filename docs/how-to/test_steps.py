from steps import clean

from pyrepro import Tag, config_hash


def test_numbers_below_the_minimum_are_left_out(tmp_path):
    (tmp_path / "raw.txt").write_text("1\n-2\n3\n")
    clean.__wrapped__(tmp_path / "raw.txt", tmp_path / "clean.txt", minimum=0.0)
    assert (tmp_path / "clean.txt").read_text() == "1\n3\n"


def test_another_minimum_is_another_name(tmp_path):
    (tmp_path / "raw.txt").write_text("1\n")
    names = {
        clean.tagged(tmp_path / "raw.txt", tmp_path / "clean.txt", minimum)
        for minimum in (0.0, 1.0)
    }
    assert len(names) == 2


def test_the_name_says_the_configuration(tmp_path):
    raw = tmp_path / "raw.txt"
    raw.write_text("1\n")
    path = clean(raw, tmp_path / "clean.txt")
    # sha256sum raw.txt
    one = "sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"
    assert Tag.from_path(path).config == config_hash({"raw": one, "minimum": 0.0})[:12]
