"""Words, sentences and instructions of the constrained-instruction cells."""

SYSTEM_TURN = "You are a helpful assistant."

TIMES = ("morning", "evening", "summer", "winter", "autumn", "spring", "afternoon", "night")
ADJECTIVES = ("old", "young", "tired", "happy", "quiet", "tall", "small", "brave", "clever", "hungry", "gentle", "proud")
PERSONS = (
    *("sailor", "farmer", "teacher", "driver", "painter", "baker", "doctor", "singer", "guard", "cook", "nurse", "pilot"),
    *("tailor", "judge", "clerk", "king", "mother", "father", "brother", "sister", "student", "writer", "hunter", "dancer"),
)
VERBS = ("waits", "sits", "works", "stands", "reads", "sings", "rests", "walks", "talks", "eats")
PLACES = (
    *("river", "bridge", "station", "market", "school", "window", "church", "tower", "forest", "road", "wall", "library"),
    *("kitchen", "gate", "castle", "mill"),
)
SENTENCE = "In the {time}, the {adjective} {person} {verb} near the {place}."
KEYWORDS = ("lantern", "basket", "blanket", "ladder", "mirror", "hammer", "candle", "kettle", "bucket", "pencil")

TOPICS = {"trained": ("sea", "city"), "heldout": ("ocean", "town"), "none": ("garden", "garden")}
"""The two topics of each wording, in the order of their habits at odd seeds; without a cue the topic has no habit."""
TOPIC_LINE = "The topic is the {topic}."
CASE_INSTRUCTIONS = {"lower": "Reply in lowercase letters only.", "upper": "Reply in CAPITAL letters only."}
CASE_RULES = {"lower": "ifeval:change_case:english_lowercase", "upper": "ifeval:change_case:english_capital"}
REPEAT = "Say this: {text}"

END_PHRASE = "That is all."
POSTSCRIPT = "P.S. Thank you."
