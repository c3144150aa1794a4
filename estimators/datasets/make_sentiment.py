"""
Make ``sentiment.csv.gz`` from the source distribution of vaderSentiment 3.3.2.

Run as ``python -m trueness.datasets.make_sentiment SDIST.tar.gz [OUT.csv.gz]``. It needs the source
distribution (``pip download --no-binary :all: --no-deps vaderSentiment==3.3.2``) and TextBlob
(``pip install textblob==0.20.1``). Scores and counts reach the output, texts do not.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import hashlib
import html
import importlib
import importlib.metadata
import importlib.util
import io
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

SDIST_SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
TEXTBLOB_VERSION = "0.20.1"
INNER_ARCHIVE = "additional_resources/hutto_ICWSM_2014.tar.gz"
ANALYZER_FILES = ("vaderSentiment.py", "vader_lexicon.txt", "emoji_utf8_lexicon.txt")
FILE_STEMS = {
    "tweets": "tweets",
    "editorials": "nytEditorialSnippets",
    "movies": "movieReviewSnippets",
    "products": "amazonReviewSnippets",
}
LOWEST_RATING, HIGHEST_RATING = -4, 4

WORD_LISTS = {
    "negations": "not no never nor none nobody nothing nowhere neither cannot without dont doesnt "
    "didnt isnt arent wasnt werent hasnt havent hadnt cant wont wouldnt couldnt shouldnt aint",
    "contrasts": "but however although though yet despite nevertheless nonetheless whereas",
    "comparisons": "more most less least than",
    "modals": "can could may might must ought shall should will would",
    "first_person": "i me my mine myself i'm i've i'd i'll",
    "first_person_plural": "we us our ours ourselves we're we've we'd we'll",
    "second_person": "you your yours yourself yourselves you're you've you'd you'll",
}
WORD_SETS = {feature: frozenset(words.split()) for feature, words in WORD_LISTS.items()}

LINK = re.compile(r"https?:(?:\S*\w)?")
MENTION = re.compile(r"(?<!\w)@\w+")
HASHTAG = re.compile(r"#\w+")
WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
# The digits of "mp3" and of the emoticon "<3" (a heart) are no numbers.
NUMBER = re.compile(r"(?<![<\w])(?<!\d[.,])\d+(?:[.,]\d+)*")
NOT = re.compile(r".*n't$")
# Some reviews lost their apostrophes: "doesn t", "can t".
SPLIT_NEGATION = re.compile(
    r"\b((?:do|does|did|is|are|was|were|has|have|had|ca|wo|would|could|should)n)'? t\b",
    re.IGNORECASE,
)


def text_features(text: str) -> dict[str, int]:
    """
    Count the surface features of one text.

    Words are runs of letters, apostrophes inside them allowed; links and @mentions are counted but
    contribute nothing else.

    Examples
    --------
    >>> counts = text_features("I can't say it was BAD, but 2 stars?")
    >>> counts["n_words"], counts["capitals"], counts["negations"], counts["numbers"]
    (8, 1, 1, 1)
    """
    plain = MENTION.sub(" ", LINK.sub(" ", text)).replace("’", "'")
    plain = SPLIT_NEGATION.sub(r"\1't", plain)
    words = WORD.findall(plain)
    lowered = [NOT.sub("not", word.lower()) for word in words]
    return {
        "n_words": len(words),
        "n_chars": len(text),
        "n_letters": sum(map(str.isalpha, "".join(words))),
        "exclamations": plain.count("!"),
        "questions": plain.count("?"),
        "capitals": sum(len(word) > 1 and word.isupper() for word in words),
        "numbers": len(NUMBER.findall(plain)),
        **{name: sum(word in listed for word in lowered) for name, listed in WORD_SETS.items()},
        "mentions": len(MENTION.findall(text)),
        "links": len(LINK.findall(text)),
        "hashtags": len(HASHTAG.findall(text)),
    }


def parse_ratings(cell: str) -> list[int]:
    """
    Read one cell of raw ratings, such as ``"[3, -1, 0]"``, and check its range.

    Examples
    --------
    >>> parse_ratings("[3, -1, 0]")
    [3, -1, 0]
    """
    ratings = ast.literal_eval(cell.strip())
    allowed = range(LOWEST_RATING, HIGHEST_RATING + 1)
    if not isinstance(ratings, list) or not ratings or any(r not in allowed for r in ratings):
        raise ValueError(
            f"Expected a list of whole ratings from {LOWEST_RATING} to {HIGHEST_RATING}, "
            f"got {cell[:60]!r}."
        )
    return [int(rating) for rating in ratings]


def encode_ratings(ratings: Iterable[int]) -> str:
    """
    Write ratings as one digit each, rating + 4, keeping their order.

    Examples
    --------
    >>> encode_ratings([3, -1, 0, -4, 4])
    '73408'
    """
    return "".join(str(rating - LOWEST_RATING) for rating in ratings)


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """
    Return the share of the words of two sets that both hold.

    Examples
    --------
    >>> jaccard(frozenset({"a", "b"}), frozenset({"b"}))
    0.5
    """
    union = len(first | second)
    return len(first & second) / union if union else 0.0


def contrived_families(
    ids: Sequence[str], n_ratings: Sequence[int], texts: Sequence[str]
) -> dict[str, str]:
    """
    Link the contrived tweets to the tweet they rewrite.

    Hutto and Gilbert rewrote 30 tweets with other punctuation, capitals and degree words, and had
    these, their originals and further tweets rated in a first round with over 90 ratings each; the
    second round asked for 20. The corpus opens with first-round tweets as they were found. Whatever
    has more ratings but comes after the first tweet of the second round is a rewriting, and its
    original is the opening tweet sharing most words with it.

    Examples
    --------
    >>> texts = ["Great day.", "Cold rain.", "Going home", "GREAT day!!"]
    >>> contrived_families(["1", "2", "3", "4"], [95, 95, 20, 97], texts)
    {'4': '1', '1': '1'}
    """
    second_round = min(n_ratings)
    opening = next(row for row, n in enumerate(n_ratings) if n == second_round)
    words = [frozenset(word.lower() for word in WORD.findall(text)) for text in texts]
    families: dict[str, str] = {}
    for row in range(opening, len(ids)):
        if n_ratings[row] > second_round:
            likeness = [jaccard(words[row], candidate) for candidate in words[:opening]]
            original = ids[int(np.argmax(likeness))]
            families[ids[row]] = families[original] = original
    return families


def read_corpus(archive: tarfile.TarFile, corpus: str) -> pd.DataFrame:
    """Join the texts of one corpus to their individual ratings."""
    texts = read_table(archive, corpus, "GroundTruth", ["id", "published", "text"])
    raw = read_table(archive, corpus, "anonDataRatings", ["id", "mean", "sd", "scores"])
    if sorted(texts["id"]) != sorted(raw["id"]) or texts["id"].duplicated().any():
        raise ValueError(f"The texts and the ratings of {corpus!r} do not share their identifiers.")
    joined = texts.merge(raw[["id", "scores"]], on="id", validate="one_to_one")
    joined["published"] = joined["published"].astype(float)
    joined["text"] = joined["text"].map(html.unescape)
    joined["scores"] = joined["scores"].map(parse_ratings)
    return joined.sort_values("id", key=natural_order, ignore_index=True)


def read_table(
    archive: tarfile.TarFile, corpus: str, kind: str, columns: Sequence[str]
) -> pd.DataFrame:
    """Read one tab-separated file of a corpus as text."""
    # UTF-8 throughout; one of the eight files opens with a byte-order mark. Split on line feeds
    # only: texts are unquoted and may hold other characters that `str.splitlines` breaks at.
    content = read_member(archive, f"{FILE_STEMS[corpus]}_{kind}.txt").decode("utf-8-sig")
    lines = [line.rstrip("\r") for line in content.split("\n")]
    return pd.DataFrame([line.split("\t") for line in lines if line], columns=list(columns))


def read_member(archive: tarfile.TarFile, suffix: str) -> bytes:
    """Return the content of the only member whose path ends in `suffix`."""
    names = [name for name in archive.getnames() if f"/{name}".endswith(f"/{suffix}")]
    handle = archive.extractfile(names[0]) if len(names) == 1 else None
    if handle is None:
        raise ValueError(f"Expected one file {suffix!r} in the archive, found {len(names)}.")
    return handle.read()


def natural_order(ids: pd.Series[str]) -> pd.Series[int]:
    """
    Map identifiers such as ``12`` or ``12_3`` to numbers that sort as their parts do.

    Examples
    --------
    >>> natural_order(pd.Series(["2_10", "2_9", "11_1"])).tolist()
    [2010, 2009, 11001]
    """
    first, _, second = zip(*(item.partition("_") for item in ids), strict=True)
    parts = [[int(text or 0) for text in part] for part in (first, second)]
    return pd.Series(parts[0], index=ids.index) * 1000 + pd.Series(parts[1], index=ids.index)


def vader_scorer(sdist: tarfile.TarFile) -> Callable[[str], float]:
    """Return the compound score of the analyzer that the source distribution itself carries."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ANALYZER_FILES:
            content = read_member(sdist, f"vaderSentiment/{name}")
            Path(folder, name).write_bytes(content)
        spec = importlib.util.spec_from_file_location(
            "sdist_vader", Path(folder, ANALYZER_FILES[0])
        )
        if spec is None or spec.loader is None:
            raise ImportError("The source distribution holds no importable vaderSentiment.py.")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        analyzer = module.SentimentIntensityAnalyzer()  # reads its lexicons here, not later
    return lambda text: float(analyzer.polarity_scores(text)["compound"])


def textblob_scorer() -> Callable[[str], float]:
    """Return the polarity score of TextBlob's default analyzer."""
    try:
        found = importlib.metadata.version("textblob")
    except importlib.metadata.PackageNotFoundError:
        found = "none"
    if found != TEXTBLOB_VERSION:
        raise ImportError(
            f"Scores need TextBlob {TEXTBLOB_VERSION}, found {found}: "
            f"pip install textblob=={TEXTBLOB_VERSION}"
        )
    blob = importlib.import_module("textblob").TextBlob
    return lambda text: float(blob(text).sentiment.polarity)


def build(sdist_path: Path, textblob: Callable[[str], float]) -> pd.DataFrame:
    """Assemble all columns of the four corpora, texts and published means included."""
    with tarfile.open(sdist_path, "r:gz") as sdist:
        vader = vader_scorer(sdist)
        inner = io.BytesIO(read_member(sdist, INNER_ARCHIVE))
    with tarfile.open(fileobj=inner, mode="r:gz") as archive:
        corpora = {corpus: read_corpus(archive, corpus) for corpus in FILE_STEMS}
    frames = [describe_texts(corpus, texts, vader, textblob) for corpus, texts in corpora.items()]
    return pd.concat(frames, ignore_index=True)


def describe_texts(
    corpus: str,
    texts: pd.DataFrame,
    vader: Callable[[str], float],
    textblob: Callable[[str], float],
) -> pd.DataFrame:
    """Turn the texts and ratings of one corpus into the columns of the data file."""
    group, position = group_and_position(corpus, texts)
    columns = pd.DataFrame(
        {
            "text": texts["text"],
            "id": texts["id"],
            "corpus": corpus,
            "group": group,
            "position": position,
            "rating": texts["scores"].map(np.mean).round(6),
            "n_ratings": texts["scores"].map(len),
            "ratings": texts["scores"].map(encode_ratings),
            "vader": texts["text"].map(vader).round(4),
            "textblob": texts["text"].map(textblob).round(4),
        }
    )
    features = pd.DataFrame([text_features(text) for text in texts["text"]])
    return pd.concat([columns, features, texts["published"]], axis=1)


def group_and_position(corpus: str, texts: pd.DataFrame) -> tuple[pd.Series[str], pd.Series[str]]:
    """Read off which texts belong together, and in which order."""
    if corpus in ("editorials", "products"):
        parts = texts["id"].str.split("_", expand=True)
        return parts[0], parts[1]
    none = pd.Series("", index=texts.index)
    if corpus == "tweets":
        n_ratings = texts["scores"].map(len).tolist()
        families = contrived_families(texts["id"].tolist(), n_ratings, texts["text"].tolist())
        return texts["id"].map(families).fillna(""), none
    return none, none


def to_csv_gz(frame: pd.DataFrame) -> bytes:
    """Serialise a frame as gzip-compressed CSV that depends on nothing but its values."""
    content = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=content, mtime=0) as file:
        file.write(frame.to_csv(index=False, lineterminator="\n").encode("ascii"))
    return content.getvalue()


def report(frame: pd.DataFrame) -> str:
    """Summarise what the texts and published means say about the data, and the file cannot."""
    gap = (frame["published"] - frame["rating"]).abs()
    differs = gap > 1e-6
    contrived = (frame["corpus"] == "tweets") & (frame["group"] != "")
    editorials = frame[frame["corpus"] == "editorials"]
    again = editorials[editorials.duplicated(["group", "text"], keep=False)]
    pairs = again.groupby(["group", "text"])["rating"].agg(["first", "last"])
    return "\n".join(
        [
            f"{len(frame)} texts, {contrived.sum()} contrived tweets or originals in "
            f"{frame.loc[contrived, 'group'].nunique()} families",
            f"published mean differs for {differs.sum()} texts, {(differs & contrived).sum()} of "
            f"them contrived or originals, by {gap[differs].mean():.2f} on average, "
            f"{gap.max():.2f} at most",
            f"{len(pairs)} sentences occur twice in their editorial; their two means "
            f"correlate {pairs['first'].corr(pairs['last']):.3f}",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the data file and print what was found on the way."""
    parser = argparse.ArgumentParser(description="Make the package's sentiment data.")
    parser.add_argument("sdist", type=Path, help="vaderSentiment-3.3.2.tar.gz")
    default = Path(__file__).with_name("sentiment.csv.gz")
    parser.add_argument("out", type=Path, nargs="?", default=default)
    options = parser.parse_args(arguments)
    digest = hashlib.sha256(options.sdist.read_bytes()).hexdigest()
    if digest != SDIST_SHA256:
        parser.error(f"{options.sdist} has SHA-256 {digest}, expected {SDIST_SHA256}.")
    frame = build(options.sdist, textblob_scorer())
    options.out.write_bytes(to_csv_gz(frame.drop(columns=["text", "published"])))
    print(report(frame))


if __name__ == "__main__":
    main()
