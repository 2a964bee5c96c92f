import base64
from html.parser import HTMLParser
from pathlib import Path

from OnPolicyDistill.datasets.squares import distinct_squares, picture_of
from OnPolicyDistill.demo.squares_report import Said, ShownCase, write_page


class Page(HTMLParser):
    """What a browser would make of a page: its tags, pictures and words."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.pictures: list[str] = []
        self.marks: list[str] = []
        self.words = ""
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        if tag == "img":
            self.pictures.append(str(values["src"]))
        if tag == "p" and values.get("class"):
            self.marks.append(str(values["class"]))

    def handle_data(self, data: str) -> None:
        self.words += data


def page_of(folder: Path, prompt: str = "How wide?", before: str = "\\boxed{3}") -> Page:
    (example,) = distinct_squares(0, "held_out", 1)
    case = ShownCase(
        picture=folder / picture_of(example, folder),
        prompt=prompt,
        answer="4",
        said=(
            Said(before, is_right=False),
            Said("\\boxed{4}", is_right=True),
            Said("four is \\boxed{4}", is_right=True),
        ),
    )
    summary = [["", "before", "after"], ["accuracy", "56 %", "82 %"]]
    write_page(folder / "page.html", summary, [case])
    return Page(folder / "page.html")


def test_a_page_has_figures_prompt_and_three_answers_with_their_marks(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    for words in ("56 %", "82 %", "How wide?", "Right answer: 4", "\\boxed{3}", "four is"):
        assert words in page.words
    assert page.marks == ["wrong", "right", "right"]


def test_a_page_holds_the_bytes_of_its_pictures(tmp_path: Path) -> None:
    (source,) = page_of(tmp_path).pictures
    (file,) = (tmp_path / "images").iterdir()
    header = "data:image/png;base64,"
    assert source.startswith(header)
    assert base64.b64decode(source.removeprefix(header)) == file.read_bytes()


def test_what_a_model_says_is_never_markup(tmp_path: Path) -> None:
    said = "<script>alert(1)</script><img src=x>"
    page = page_of(tmp_path, prompt=said, before=said)
    assert "script" not in page.tags
    assert page.tags.count("img") == 1
    assert page.words.count(said) == 2
