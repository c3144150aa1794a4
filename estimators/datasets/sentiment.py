"""Human ratings and machine scores of the sentiment of 23,703 short texts."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from importlib import resources

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import Bunch

CORPORA = ("tweets", "editorials", "movies", "products")
TARGET = "rating"
SURROGATES = ("vader", "textblob")
COUNTS = (
    "n_words",
    "n_chars",
    "n_letters",
    "exclamations",
    "questions",
    "capitals",
    "numbers",
    "negations",
    "contrasts",
    "comparisons",
    "modals",
    "first_person",
    "first_person_plural",
    "second_person",
    "mentions",
    "links",
    "hashtags",
)
FEATURES = ("log_words", "word_length", *COUNTS)
LOWEST_RATING = -4


def load_sentiment(corpus: str | Sequence[str] | None = None) -> Bunch:
    """
    Load human sentiment ratings of short texts with two machine scores.

    Four corpora of English sentences and tweets (Hutto & Gilbert 2014), every one of them rated by
    15 to 99 people on a scale from -4 (extremely negative) to 4 (extremely positive). The mean
    rating serves as expensive truth, the scores of two word-list programs as cheap surrogates, and
    counts of surface features as covariates. The texts themselves are not included.

    Parameters
    ----------
    corpus : {"tweets", "editorials", "movies", "products"} or sequence of these, default=None
        The corpora to keep; None keeps all four. Rows stay in the file's order.

    Returns
    -------
    sklearn.utils.Bunch
        With the attributes

        frame : pandas.DataFrame of shape (n_texts, 27)
            Identifiers, target, surrogates and features; see ``DESCR`` for every column.
        ratings : ndarray of shape (n_texts, max(n_ratings)), float64
            Individual ratings in -4, ..., 4, row-aligned with ``frame``; NaN beyond ``n_ratings``.
        target_name : str
            ``"rating"``, the mean of the individual ratings.
        surrogate_names : list of str
            ``["vader", "textblob"]``, both in [-1, 1].
        feature_names : list of str
            The numeric covariates.
        DESCR : str
            Sources, licence, what each column means and how it was made.

    Raises
    ------
    ValueError
        If ``corpus`` names something else, or nothing.

    References
    ----------
    Hutto, C. J. and Gilbert, E. (2014). VADER: A parsimonious rule-based model for sentiment
    analysis of social media text. *Proceedings of the International AAAI Conference on Web and
    Social Media* 8(1), 216-225. https://doi.org/10.1609/icwsm.v8i1.14550

    Examples
    --------
    >>> from trueness.datasets import load_sentiment
    >>> editorials = load_sentiment("editorials")
    >>> editorials.frame.shape, editorials.ratings.shape
    ((5190, 27), (5190, 20))
    >>> float(editorials.frame["rating"].corr(editorials.frame["vader"]).round(1))
    0.5
    """
    kept = check_corpora(corpus)
    texts = read_texts()
    description = DESCRIPTION.format(counts=count_table(texts))
    texts = texts[texts["corpus"].isin(kept)].reset_index(drop=True)
    return Bunch(
        frame=texts.drop(columns="ratings"),
        ratings=decode_ratings(texts["ratings"]),
        target_name=TARGET,
        surrogate_names=list(SURROGATES),
        feature_names=list(FEATURES),
        DESCR=description,
    )


def check_corpora(corpus: str | Sequence[str] | None) -> tuple[str, ...]:
    """
    Turn the user's choice into a tuple of known corpora.

    Parameters
    ----------
    corpus : str, sequence of str or None
        The user's choice.

    Returns
    -------
    tuple of str
        The chosen corpora.

    Raises
    ------
    ValueError
        If a name is unknown, or none is given.

    Examples
    --------
    >>> check_corpora("movies")
    ('movies',)
    """
    if corpus is None:
        return CORPORA
    chosen = (corpus,) if isinstance(corpus, str) else tuple(corpus)
    choices = ", ".join(map(repr, CORPORA))
    if not chosen:
        raise ValueError(f"`corpus` is empty: name some of {choices}, or pass None for all four.")
    for name in chosen:
        if name not in CORPORA:
            nearest = difflib.get_close_matches(str(name), CORPORA, n=1, cutoff=0.0)[0]
            raise ValueError(
                f"There is no corpus {name!r}; the choices are {choices}. "
                f"The nearest is {nearest!r}."
            )
    return chosen


def read_texts() -> pd.DataFrame:
    """
    Read the data file and add the columns that follow from others.

    Returns
    -------
    pandas.DataFrame
        One row per text, in the file's order; ``ratings`` still in digits.
    """
    strings = {name: str for name in ("id", "corpus", "group", "ratings")}
    with resources.files("trueness.datasets").joinpath("sentiment.csv.gz").open("rb") as file:
        texts = pd.read_csv(file, compression="gzip", dtype=strings)
    # A text without words counts as one of a single word, whose logarithm is finite.
    words = texts["n_words"].clip(lower=1)
    first_feature = texts.columns.get_loc(COUNTS[0])
    assert isinstance(first_feature, int)
    texts.insert(first_feature, "log_words", np.log(words))
    texts.insert(first_feature + 1, "word_length", texts["n_letters"] / words)
    texts["group"] = texts["corpus"] + "-" + texts["group"].fillna(texts["id"])
    return texts


def decode_ratings(digits: pd.Series[str]) -> NDArray[np.float64]:
    """
    Spread strings of digits, rating + 4 each, over a padded array.

    Parameters
    ----------
    digits : pandas.Series of str, length n
        Strings over the alphabet 0, ..., 8.

    Returns
    -------
    ndarray of shape (n, length of the longest string), float64
        Ratings in -4, ..., 4 in the strings' order; NaN beyond the end of a string.

    Examples
    --------
    >>> decode_ratings(pd.Series(["73", "408"]))
    array([[ 3., -1., nan],
           [ 0., -4.,  4.]])
    """
    n_ratings = digits.str.len().to_numpy()
    ratings = np.full((len(digits), n_ratings.max()), np.nan)
    codes = np.frombuffer("".join(digits).encode("ascii"), dtype=np.uint8).astype(np.float64)
    given = np.arange(n_ratings.max()) < n_ratings[:, None]
    ratings[given] = codes - ord("0") + LOWEST_RATING
    return ratings


def count_table(texts: pd.DataFrame) -> str:
    """
    Tabulate, corpus by corpus, sizes and how closely each surrogate follows the ratings.

    Parameters
    ----------
    texts : pandas.DataFrame
        What :func:`read_texts` returns.

    Returns
    -------
    str
        A fixed-width table, one line per corpus below its header.
    """
    row = "{:<12}{:>8}{:>8}{:>12}{:>8}{:>10}".format
    lines = [row("corpus", "texts", "groups", "n_ratings", *SURROGATES)]
    for corpus in CORPORA:
        rows = texts[texts["corpus"] == corpus]
        fewest, most = rows["n_ratings"].min(), rows["n_ratings"].max()
        correlations = [f"{rows[TARGET].corr(rows[surrogate]):.3f}" for surrogate in SURROGATES]
        span = f"{fewest}" if fewest == most else f"{fewest}-{most}"
        lines.append(row(corpus, len(rows), rows["group"].nunique(), span, *correlations))
    return "\n".join(lines)


DESCRIPTION = """\
Sentiment of 23,703 short texts: human ratings and machine scores
=================================================================

Texts, groups, ratings per text, and correlations of the mean rating with the two machine scores:

{counts}

Source
------
Hutto, C. J. and Gilbert, E. (2014). VADER: A parsimonious rule-based model for sentiment analysis
of social media text. Proceedings of the International AAAI Conference on Web and Social Media 8(1),
216-225. https://doi.org/10.1609/icwsm.v8i1.14550

The ratings come from the archive hutto_ICWSM_2014.tar.gz inside the source distribution of
vaderSentiment 3.3.2 on PyPI. The module trueness.datasets.make_sentiment makes the data file from
it; the word lists behind the counts are constants of that module. No text of the corpora is
included: look texts up in the source by corpus and id.

tweets      4,000 tweets and 200 that the authors contrived from 30 of them (see group).
editorials  Sentences of New York Times editorials.
movies      Sentences of film reviews on rottentomatoes.com (Pang & Lee). The order of the rows is
            informative: most favourable ones come first.
products    Sentences of customer reviews of five products (Hu & Liu), in lower case.

The raters were workers of Amazon Mechanical Turk, screened, trained and checked against items of
known rating.

Columns
-------
id              The text's identifier in its corpus; a string, unique within the corpus.
corpus          tweets, editorials, movies or products.
group           Texts that belong together: the sentences of one editorial, the sentences of one
                product review, a tweet and the versions contrived from it (other punctuation,
                capitals, degree words). Every other text is its own group. Unique across corpora.
                Films: the source does not tell which sentences share a review.
position        Number of the sentence in its editorial or product review, counted from 1, with
                gaps where a sentence was not rated; missing (NaN) in tweets and movies.
rating          Mean of the individual ratings, to six decimals: the target.
n_ratings       Number of individual ratings.
vader           Surrogate: compound score of vaderSentiment 3.3.2, in [-1, 1], four decimals.
textblob        Surrogate: polarity of TextBlob 0.20.1's default analyzer, in [-1, 1], four
                decimals.
log_words       Natural logarithm of n_words; texts without words (8) count as one word.
word_length     n_letters / n_words; 0 without words.
n_words         Runs of letters, apostrophes inside allowed; links and mentions left out.
n_chars         Characters, spaces included.
n_letters       Letters in the words.
exclamations    Exclamation marks.
questions       Question marks.
capitals        Words of two or more characters in capitals only. Always 0 in products, whose
                texts are in lower case.
numbers         Numbers in digits, not those attached to the end of a word (mp3).
negations       not, no, never, ... and contractions in n't, also where the apostrophe is lost.
contrasts       but, however, although, though, yet, despite, ...
comparisons     more, most, less, least, than.
modals          can, could, may, might, must, ought, shall, should, will, would.
first_person    I, me, my, mine, myself and contractions.
first_person_plural, second_person
                Likewise for we and you.
mentions        @names (tweets).
links           Web addresses.
hashtags        #words (tweets, for the most part).

HTML entities were decoded before anything was scored or counted.

Individual ratings
------------------
The attribute ratings holds them in the source's order. Films were rated in batches of 30: rows
0-29, 30-59, ... of the corpus share one set of workers, and within a batch one column of ratings is
one worker ((id - 1) // 30 numbers the batches). In the other corpora the order means nothing: the
same column of two rows is not the same person, and nothing identifies a person.

The mean printed beside each text in the source equals the mean of its ratings, with 199 exceptions,
all among the 200 tweets that are contrived or the original of a contrived one: there the two differ
by 0.33 on average and 1.13 at most (the printed means seem to come from another round of ratings).
`rating` is the mean of the ratings throughout. Keep rows with a unique group to leave these tweets
out. 71 sentences occur twice within an editorial and were rated afresh; their two means of 20
ratings correlate 0.947.

The surrogates
--------------
VADER's word list was rated on the same scale by workers recruited in the same way, and the sizes of
its rules were estimated from the contrived tweets: among these its agreement with the ratings is
flattered. TextBlob uses the word list of Pattern (De Smedt & Daelemans), adjectives tagged by other
people for other purposes, so the two surrogates err for partly different reasons. The tweets with
more than 90 ratings were chosen to resemble a sample from the extremes of Pattern's scores.

Licence
-------
The ratings are distributed under the MIT licence, reproduced below. VADER is under the same
licence; TextBlob is under the MIT licence and its word list under the Open Data Commons Public
Domain Dedication and License. Only scores of either are included.

The MIT License (MIT)

Copyright (c) 2016 C.J. Hutto

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""
