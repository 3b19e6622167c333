"""How the rows of an update are divided where memory is short."""

from assay_pods.common.context import RunContext
from assay_pods.robustness.recipe import Recipe


def batch_document(recipe: Recipe, context: RunContext) -> dict[str, int]:
    """Gives the rows of an update, and how many of them are in memory at once: the second alone is what z0's noise depends on in TRL."""
    rows = recipe.prompts_per_step * (2 if recipe.method == "KTO" else 1)
    if context.spec["trainer"]["kind"] == "TOP_BLOCKS":
        parts = min(context.micro_batch_divisor, rows)
    elif recipe.method == "KTO" or recipe.variant_kind == "GROUP_DRO":
        parts = 1
    else:
        parts = accumulation(recipe, context.micro_batch_divisor)
    return {"promptsPerStep": recipe.prompts_per_step, "rowsPerStep": rows, "microBatchRows": -(-rows // parts), "accumulation": parts}


def accumulation(recipe: Recipe, divisor: int) -> int:
    """Gives into how many equal parts, at least `divisor`, the TRL trainers divide a step's prompts."""
    prompts = recipe.prompts_per_step
    return next(parts for parts in range(min(divisor, prompts), prompts + 1) if prompts % parts == 0)
