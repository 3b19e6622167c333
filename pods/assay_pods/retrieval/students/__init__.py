"""Students of the expanded teacher: a residual ridge in closed form, and copies of the encoder that are trained."""
