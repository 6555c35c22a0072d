"""The real loop in seconds, for the tests: every step, a handful of times.

The tests fill in the pictures and a GAN with random weights; nothing that
comes out looks like anything.
"""

from gan2shape_jax import config as defaults


def get_config():
  """Returns the configuration of the tests' end-to-end runs."""
  config = defaults.default_config()
  config.image_size = 32
  config.data.ground_truth = True
  config.networks.width = 8
  config.networks.code_size = 16
  config.networks.encoder_width = 8
  config.networks.relative_encoding = True
  config.prior.iterations = 2
  config.inversion.iterations = 2
  config.schedule.stages = 2
  config.schedule.first_stage = (2, 2, 3)
  config.schedule.later_stages = (1, 1, 2)
  config.schedule.flip_step1 = (False, False)
  config.schedule.flip_step3 = (True, False)
  config.schedule.batch_size = 2
  config.schedule.collect_batches = 2
  config.schedule.keep_best = 1
  config.refine.iterations = 2
  config.run.chunk = 2
  config.output.frame_size = 32
  return config
