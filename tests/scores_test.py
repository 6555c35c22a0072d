"""Means and gains, and the tables that show them."""

import pytest

from gan2shape_jax import scores

ROWS = {
  "a": {"side": 0.01, "mad": 11.0, "prior_side": 0.04, "prior_mad": 24.0},
  "b": {"side": 0.02, "mad": 12.0, "prior_side": 0.04, "prior_mad": 28.0},
}


def test_gains_are_over_the_mean_of_the_prior():
  table = scores.summarize(ROWS)
  assert set(table) == {"prior", "fit"}
  assert table["fit"]["side_gain"] == pytest.approx(1 - 0.015 / 0.04)
  assert table["fit"]["mad_gain"] == pytest.approx(1 - 11.5 / 26)
  assert table["prior"]["mad_gain"] == 0


@pytest.mark.parametrize("rows", [{}, {"a": {"seconds": 3.0}}])
def test_without_true_shapes_there_is_nothing(rows):
  assert scores.summarize(rows) == {}


def test_the_table_has_the_figures_that_all_have():
  rows = {n: r | {"relief": 0.9} for n, r in ROWS.items()}
  assert "relief" not in scores.format_means(scores.summarize(rows), 2)
  rows = {n: r | {"prior_relief": 1.0} for n, r in rows.items()}
  text = scores.format_means(scores.summarize(rows), 2)
  head, prior, fit = text.splitlines()
  assert head.split()[3:] == ["SIDE", "gain", "MAD", "gain", "relief"]
  assert prior.split() == ["prior", "0.0400", "0.0%", "26.00", "0.0%", "1.00"]
  assert fit.split() == ["fit", "0.0150", "62.5%", "11.50", "55.8%", "0.90"]
  assert len({len(line) for line in (head, prior, fit)}) == 1


def test_pictures_have_the_errors_of_the_last_method():
  lines = scores.format_pictures(scores.summarize(ROWS), ROWS).splitlines()
  assert [line.split() for line in lines[1:]] == [
    ["a", "0.0100", "(0.0400)", "11.00", "(24.00)"],
    ["b", "0.0200", "(0.0400)", "12.00", "(28.00)"],
  ]
