from gan2shape_jax.schedule import TRAINABLE, Phase, make_phases

SCHEDULE = {
  "stages": 3,
  "first_stage": (6, 5, 4),
  "later_stages": (3, 2, 1),
  "flip_step1": (False, True, False),
  "flip_step3": (True, True, False),
}


def test_stages_follow_the_prior():
  phases = make_phases(**SCHEDULE, prior_iterations=9)
  assert phases[0] == Phase("prior", 0, 9)
  assert [p.step for p in phases[1:]] == ["albedo", "project", "shape"] * 3
  assert [p.stage for p in phases[1:]] == [1] * 3 + [2] * 3 + [3] * 3
  assert [p.iterations for p in phases[1:]] == [6, 5, 4] + [3, 2, 1] * 2
  flips = [p.flip for p in phases[1:]]
  assert flips == [False, False, True, True, False, True, False, False, False]


def test_no_prior_where_it_has_no_iterations():
  assert make_phases(**SCHEDULE, prior_iterations=0)[0].step == "albedo"


def test_steps_train_each_network_and_step_3_all_but_the_encoder():
  everything = {"depth", "albedo", "view", "light", "encoder"}
  assert set(TRAINABLE["shape"]) == everything - {"encoder"}
  assert set().union(*TRAINABLE.values()) == everything
