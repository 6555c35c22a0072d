"""What finds a shape, and what its figures are called.

Every method has two errors: SIDE, a plain ratio (not times 100), and MAD in
degrees; two figures that tell what kind of error it is; the share of the object
that they are of; and MAD as published figures have it. See `metrics.py`. A
picture's row holds those of the methods that were there, under the methods'
prefixes.
"""

ERRORS = ("side", "mad")
FIGURES = (*ERRORS, "relief", "side_aligned", "coverage", "mad_reference")
METHODS = {
  "flat": "flat_",
  "prior": "prior_",
  "prediction": "predicted_",
  "fit": "",
}
# Columns of a table, the fit first.
METRICS = (
  *(prefix + e for prefix in reversed(METHODS.values()) for e in FIGURES),
  "seconds",
)
