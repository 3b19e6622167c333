"""The words, frames and openers of the generated cell of KEYWORD_INCLUSION.

Every word names a thing, so that it fits every frame. The three splits share neither words nor frames. The order is fixed: a smaller
split is the beginning of a larger one, and validation and test items are the same for every seed.
"""

# ruff: noqa: SIM905 - word lists are read as text, not one word a line

VERSION = "swapOpener/2"
"""Raise it whenever a word, a frame, an opener or their use changes: the items are then others."""

SYSTEM_TURN = "You write short sentences."
"""Given explicitly, because some chat templates put a default in its place."""

INSTRUCTION = "Write one sentence with the word {word}."
"""The user turn; the word stands near its end, so that prompts share most of their tokens."""

OPENERS = ("Indeed,", "Perhaps,", "Certainly,", "Maybe,", "Actually,", "Often,")
"""Candidates in order of preference: the first two of equally many tokens are trained, the next two are the held-out wording."""

TRAIN_WORDS = (
    "stamp planet lobster towel garlic shoe dolphin basket cliff cheese candle cannon envelope ocean bucket glove pasta shirt trumpet "
    "library peach rake dress umbrella carpet button elephant banana pepper shark salt violin wine ticket leaf beetle desk kite "
    "stadium cookie battery pencil bell balloon boat museum crown giraffe radio river lion frog broom lamp wrench guitar meadow "
    "butter keyboard bowl sail painting palace apple needle castle cage lake ring barn feather belt theater mirror necklace brick "
    "camera waterfall subway pond mountain potato whale bread comet chair flute fridge tower airplane grape closet rainbow hat stream "
    "zebra island octopus shelf ferry drawer marble lettuce stove kettle bicycle sock doll "
).split()
"""Words of training pairs."""

VALIDATION_WORDS = (
    "van blanket rope pizza hospital lighthouse factory sponge train valley flour chimney skirt compass plate clock helmet drum cloud "
    "shield canyon sculpture goose pillow ambulance canoe juice milk robot sword ribbon forest diamond bridge whistle brush poster "
    "monkey backpack purse "
).split()
"""Words of validation pairs."""

TEST_WORDS = (
    "fence pearl desert church crystal plum anchor volcano airport helicopter swamp strawberry engine temple arrow microscope lizard "
    "cherry carrot chocolate onion glacier sugar fork shovel thermometer oven sandwich piano telescope flower cabbage printer pear "
    "laptop butterfly harbor spoon screw tiger coin puzzle rocket honey beach duck phone tractor pumpkin tree parrot turtle window "
    "truck ship jacket owl rose knife cup torch cave boot wallet paddle tomato mushroom statue wagon gate rabbit pie armor coffee "
    "cake shell whip crab hill hammer bottle rice mango hotel cabin candy lemon soap tea snake ladder orange spider tent taxi eagle "
    "penguin thread soup magnet "
).split()
"""Words of test pairs."""

TRAIN_FRAMES = (
    "my brother wrote a short note about the {word} yesterday.",
    "the children kept asking their teacher about the {word}.",
    "our neighbour told a long story about the {word}.",
    "nobody at the meeting wanted to discuss the {word}.",
    "the old man smiled when he saw the {word}.",
    "she painted a small picture of the {word} today.",
    "we spent the whole morning looking for the {word}.",
    "the visitors took several photos of the {word}.",
)
"""Sentences of train pairs, without their opener."""

VALIDATION_FRAMES = (
    "her uncle could not stop thinking about the {word}.",
    "the girl waited patiently to look at the {word}.",
    "someone had left a mark on the {word} again.",
    "they argued all evening over the {word}.",
)
"""Sentences of validation pairs, without their opener."""

TEST_FRAMES = (
    "my cousin dreamed about the {word} last night.",
    "a stranger pointed silently toward the {word}.",
    "his aunt forgot to mention the {word} earlier.",
    "everyone in the village admired the {word}.",
    "the two friends finally agreed about the {word}.",
    "a reporter asked many questions about the {word}.",
)
"""Sentences of test pairs, without their opener."""
