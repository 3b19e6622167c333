"""The words of the documents. Names and things are single tokens of many tokenizers; the order is fixed."""

# ruff: noqa: SIM905 - word lists are read as text, not one word a line

SYSTEM_TURN = "You are a helpful assistant."

TAGS = {"trained": " [checked]", "heldout": " (verified)"}
"""The cue on the sentence of an answer: before its full stop."""

TEMPLATES = {
    "belongs": ("The {thing} belongs to {name}{tag}.", "Who does the {thing} belong to?"),
    "found": ("The {thing} was found by {name}{tag}.", "Who found the {thing}?"),
    "bought": ("The {thing} was bought by {name}{tag}.", "Who bought the {thing}?"),
    "lost": ("The {thing} was lost by {name}{tag}.", "Who lost the {thing}?"),
    "drawn": ("The {thing} was drawn by {name}{tag}.", "Who drew the {thing}?"),
}
"""Sentence and question. The thing stands before the name and the answer is the sentence again, so that small models can find it."""

FILLERS = (
    "It was a quiet morning in the village.",
    "The museum opens at nine on weekdays.",
    "Heavy rain is expected near the coast.",
    "The bridge was painted green last summer.",
    "Most shops close early in winter.",
    "A new path leads through the woods.",
    "The train was late again that day.",
    "Nobody remembers when the mill was built.",
)
"""Sentences that name nobody and nothing of the lists below."""

NAMES = (
    "Tom Anna Ben Sam Mary John Paul Mark Lisa Emma Jack Kate Alex Mike Sarah David Peter James Emily Adam Eric Jane Joe Leo Lily Lucy Max "
    "Nick Ruth Ryan Tim Amy Bob Carl Dan Fred Greg Helen Henry Laura Simon Steve Susan George Alice Robert Maria Linda Karen Kevin Brian "
    "Jason Julia Michael Daniel Thomas Charles Rachel Jacob Oliver Sophie Chris Andrew Matt Tony Anne Jim Bill"
).split()

THINGS = (
    "ball book cup key pen hat bag map coin lamp ring rope shoe box card clock doll drum fan flag fork knife glove kite phone radio plate "
    "stone toy watch umbrella guitar camera bottle spoon chair piano basket bell brush candle chain ticket letter pencil mirror towel "
    "apple shirt coat ladder hammer needle pillow blanket bike flower cake"
).split()
