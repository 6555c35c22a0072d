"""Stages and steps as data: what is trained when, and for how long.

One stage is step 1 (albedo), step 2 (projection onto the GAN's manifold) and
step 3 (shape); a run is a tuple of phases that the loop in `train.py` walks
through (GAN2Shape trainer.py:80-106 keeps the same as a state machine).
"""

import dataclasses

# The networks that each phase trains. Optimisers start afresh at every phase
# (GAN2Shape trainer.py:102).
TRAINABLE = {
  "prior": ("depth",),
  "albedo": ("albedo",),
  "project": ("encoder",),
  "shape": ("albedo", "depth", "light", "view"),
}


@dataclasses.dataclass(frozen=True)
class Phase:
  """A run of iterations of one step.

  Attributes:
    step: "prior" (fit the depth network to the ellipsoid), "albedo" (step 1),
      "project" (step 2) or "shape" (step 3).
    stage: 0 for the prior, then 1, 2, ...
    iterations: how many.
    flip: whether the mirrored shape must explain the pictures too.
  """

  step: str
  stage: int
  iterations: int
  flip: bool = False


def make_phases(
  *,
  stages: int,
  first_stage: tuple[int, int, int],
  later_stages: tuple[int, int, int],
  flip_step1: tuple[bool, ...],
  flip_step3: tuple[bool, ...],
  prior_iterations: int,
) -> tuple[Phase, ...]:
  """Returns the phases of a run; without a prior where its count is 0."""
  phases = []
  if prior_iterations:
    phases.append(Phase("prior", 0, prior_iterations))
  for stage in range(1, stages + 1):
    albedo, project, shape = first_stage if stage == 1 else later_stages
    flip1, flip3 = flip_step1[stage - 1], flip_step3[stage - 1]
    phases += [
      Phase("albedo", stage, albedo, flip1),
      Phase("project", stage, project),
      Phase("shape", stage, shape, flip3),
    ]
  return tuple(phases)
