"""Templates of stories with worked solutions of two to four steps, in the manner of grade-school problems."""

from collections.abc import Callable, Mapping
from typing import NamedTuple


class Story(NamedTuple):
    """One template. `question` and `solution` may use its numbers, its values, `name` and `other`."""

    title: str
    ranges: Mapping[str, tuple[int, int]]
    """Least and greatest of each number."""
    work: Callable[..., dict[str, int]]
    """From the numbers to the values of the steps; `answer` is the result. A story whose values are not all positive is not told."""
    question: str
    solution: str


NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Frank", "Grace", "Henry", "Julia", "Kevin", "Laura", "Martin", "Nina", "Oscar", "Paula")

STORIES = (
    Story(
        "boxes",
        {"boxes": (2, 9), "each": (3, 12), "given": (2, 20)},
        lambda boxes, each, given: {"all": boxes * each, "answer": boxes * each - given},
        "{name} buys {boxes} boxes of pencils with {each} pencils in each box and gives {given} pencils to {other}. "
        "How many pencils are left?",
        "{name} buys {boxes} x {each} = {all} pencils.\nAfter the gift there are {all} - {given} = {answer} pencils left.",
    ),
    Story(
        "savings",
        {"start": (5, 40), "weekly": (2, 9), "weeks": (2, 8)},
        lambda start, weekly, weeks: {"saved": weekly * weeks, "answer": start + weekly * weeks},
        "{name} has {start} dollars and saves {weekly} dollars a week for {weeks} weeks. How many dollars does {name} have then?",
        "In {weeks} weeks {name} saves {weekly} x {weeks} = {saved} dollars.\nTogether that is {start} + {saved} = {answer} dollars.",
    ),
    Story(
        "garden",
        {"rows": (2, 8), "plants": (3, 11), "more": (2, 15), "dead": (1, 12)},
        lambda rows, plants, more, dead: {
            "first": rows * plants,
            "second": rows * plants + more,
            "answer": rows * plants + more - dead,
        },
        "A garden has {rows} rows of {plants} tomato plants. {name} plants {more} more, and {dead} of all plants die in a frost. "
        "How many tomato plants are alive?",
        "The rows hold {rows} x {plants} = {first} plants.\nWith the new ones there are {first} + {more} = {second}.\n"
        "After the frost {second} - {dead} = {answer} plants are alive.",
    ),
    Story(
        "bus",
        {"start": (20, 60), "off": (3, 19), "on": (2, 25)},
        lambda start, off, on: {"left": start - off, "answer": start - off + on},
        "A bus leaves with {start} passengers. At the first stop {off} get off and {on} get on. How many passengers are on the bus?",
        "After {off} got off there are {start} - {off} = {left} passengers.\n"
        "After {on} got on there are {left} + {on} = {answer} passengers.",
    ),
    Story(
        "shared",
        {"children": (2, 6), "share": (10, 30), "eaten": (1, 9)},
        lambda children, share, eaten: {"all": children * share, "answer": share - eaten},
        "{name} divides {all} sweets equally among {children} children. Each child eats {eaten} of them. "
        "How many sweets has each child left?",
        "Each child gets {all} / {children} = {share} sweets.\nAfter eating {eaten} each child has {share} - {eaten} = {answer} sweets.",
    ),
    Story(
        "twice",
        {"own": (6, 25), "found": (2, 20)},
        lambda own, found: {"double": 2 * own, "answer": 2 * own + found},
        "{name} has {own} shells. {other} has twice as many and finds {found} more. How many shells does {other} have?",
        "{other} first has 2 x {own} = {double} shells.\nWith the ones found that is {double} + {found} = {answer} shells.",
    ),
    Story(
        "prices",
        {"pens": (2, 6), "pen": (2, 7), "books": (2, 5), "book": (4, 12)},
        lambda pens, pen, books, book: {
            "first": pens * pen,
            "second": books * book,
            "answer": pens * pen + books * book,
        },
        "{name} buys {pens} pens at {pen} dollars each and {books} books at {book} dollars each. How many dollars does {name} pay?",
        "The pens cost {pens} x {pen} = {first} dollars.\nThe books cost {books} x {book} = {second} dollars.\n"
        "Together {name} pays {first} + {second} = {answer} dollars.",
    ),
    Story(
        "pages",
        {"days": (2, 7), "daily": (5, 12), "pages": (40, 150)},
        lambda days, daily, pages: {"read": days * daily, "answer": pages - days * daily},
        "{name} reads {daily} pages a day of a book with {pages} pages. How many pages are left after {days} days?",
        "In {days} days {name} reads {days} x {daily} = {read} pages.\nThere are {pages} - {read} = {answer} pages left.",
    ),
    Story(
        "chairs",
        {"tables": (3, 9), "seats": (4, 8), "guests": (5, 40), "late": (1, 9)},
        lambda tables, seats, guests, late: {
            "all": tables * seats,
            "came": guests + late,
            "answer": tables * seats - guests - late,
        },
        "A hall has {tables} tables with {seats} chairs each. {guests} guests sit down, and {late} more come later. "
        "How many chairs stay empty?",
        "There are {tables} x {seats} = {all} chairs.\nAltogether {guests} + {late} = {came} guests come.\n"
        "So {all} - {came} = {answer} chairs stay empty.",
    ),
    Story(
        "eggs",
        {"hens": (3, 9), "eggs": (4, 7), "weeks": (2, 3), "sold": (10, 60)},
        lambda hens, eggs, weeks, sold: {
            "weekly": hens * eggs,
            "all": hens * eggs * weeks,
            "answer": hens * eggs * weeks - sold,
        },
        "Each of {hens} hens lays {eggs} eggs a week. After {weeks} weeks {name} sells {sold} of the eggs. How many eggs are left?",
        "The hens lay {hens} x {eggs} = {weekly} eggs a week.\nIn {weeks} weeks that is {weekly} x {weeks} = {all} eggs.\n"
        "After the sale {all} - {sold} = {answer} eggs are left.",
    ),
    Story(
        "ages",
        {"age": (5, 20), "older": (2, 15), "years": (2, 20)},
        lambda age, older, years: {"now": age + older, "answer": age + older + years},
        "{name} is {age} years old. {other} is {older} years older than {name}. How old will {other} be in {years} years?",
        "{other} is now {age} + {older} = {now} years old.\nIn {years} years {other} will be {now} + {years} = {answer} years old.",
    ),
    Story(
        "tickets",
        {"adults": (2, 5), "adult": (7, 12), "children": (2, 6), "child": (2, 6), "discount": (2, 9)},
        lambda adults, adult, children, child, discount: {
            "first": adults * adult,
            "second": children * child,
            "all": adults * adult + children * child,
            "answer": adults * adult + children * child - discount,
        },
        "{adults} adults pay {adult} dollars each and {children} children pay {child} dollars each for a museum, "
        "and the group gets {discount} dollars off. How many dollars does the group pay?",
        "The adults pay {adults} x {adult} = {first} dollars.\nThe children pay {children} x {child} = {second} dollars.\n"
        "Together that is {first} + {second} = {all} dollars.\nWith the discount it is {all} - {discount} = {answer} dollars.",
    ),
)
"""Every result is the last number before the line with `####`, so that it can be exchanged for a wrong one."""
