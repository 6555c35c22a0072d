"""Means of figures over pictures, and the tables that programs print.

A picture's row holds its figures under the names of `methods.py`.
"""

from collections.abc import Mapping

from gan2shape_jax.methods import ERRORS, FIGURES, METHODS

Row = Mapping[str, float]
Table = dict[str, dict[str, float]]

# Title, width and format.
_COLUMNS = {
  "side": ("SIDE", 7, ".4f"),
  "side_gain": ("gain", 7, ".1%"),
  "mad": ("MAD", 7, ".2f"),
  "mad_gain": ("gain", 7, ".1%"),
  "relief": ("relief", 8, ".2f"),
  "side_aligned": ("SIDE aligned", 14, ".4f"),
  "coverage": ("coverage", 10, ".1%"),
}


def summarize(rows: Mapping[str, Row]) -> Table:
  """Means over pictures by method, and the gain over the prior as a fraction.

  Args:
    rows: figures of the pictures by name, as in metrics.json.

  Returns:
    The methods and figures that all pictures have; {} without true shapes.
  """
  table = {}
  for method, prefix in METHODS.items():
    names = [n for n in FIGURES if all(prefix + n in r for r in rows.values())]
    if rows and set(ERRORS) <= set(names):
      table[method] = {
        name: sum(row[prefix + name] for row in rows.values()) / len(rows)
        for name in names
      }
  for row in table.values():
    for name in ERRORS:
      row[f"{name}_gain"] = 1 - row[name] / table["prior"][name]
  return table


def format_means(table: Table, count: int) -> str:
  """A line for each method; `count`: of the pictures."""
  columns = {
    name: column
    for name, column in _COLUMNS.items()
    if all(name in row for row in table.values())
  }
  titles = "".join(f"{title:>{w}}" for title, w, _ in columns.values())
  lines = [f"{f'mean of {count}':<12}{titles}"]
  for method, row in table.items():
    cells = "".join(f"{row[n]:{w}{f}}" for n, (_, w, f) in columns.items())
    lines.append(f"{method:<12}{cells}")
  return "\n".join(lines)


def format_pictures(table: Table, rows: Mapping[str, Row]) -> str:
  """A line for each picture: the errors of the last method of the table."""
  last = METHODS[list(table)[-1]]
  lines = [f"{'picture':<12}   SIDE (prior)      MAD (prior)"]
  lines += [
    f"{name:<12} {row[last + 'side']:.4f} ({row['prior_side']:.4f})"
    f" {row[last + 'mad']:8.2f} ({row['prior_mad']:.2f})"
    for name, row in rows.items()
  ]
  return "\n".join(lines)
