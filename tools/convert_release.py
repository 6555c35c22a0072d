"""Converts GAN2Shape's whole release, as it was unpacked.

  python tools/convert_release.py --root GAN2Shape --output release

In the root, what is there of

  checkpoints/stylegan2/*.pt      generators and discriminators, or *.pkl
  checkpoints/gan2shape/*.pth     jointly trained networks
  checkpoints/view_light/*.pth    distributions of views and lights
  checkpoints/parsing/*.pth       BiSeNet and PSPNet
  vgg16-*.pth, v0.1/vgg.pth       LPIPS (torchvision's file and the linear
                                  weights of PerceptualSimilarity, anywhere)
  data/**/latents/*.pt            latents

becomes a folder of weights of the same name without its ending, or NAME.npy, at
the same place under the output (the root itself unless given), and LPIPS
checkpoints/lpips/vgg16. Pictures, lists and depth stay where they are.

Prints what was found and what of the release is missing. Exit codes: 0 done; 2
some file cannot be converted (the others are), or there is none.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gan2shape_jax.atomic import writing
from gan2shape_jax.convert.bisenet import convert_bisenet
from gan2shape_jax.convert.checkpoint_files import (
  CheckpointFile,
  read_checkpoint,
)
from gan2shape_jax.convert.distributions import convert_distribution
from gan2shape_jax.convert.latents import convert_latents
from gan2shape_jax.convert.lpips import convert_lpips
from gan2shape_jax.convert.networks import convert_networks
from gan2shape_jax.convert.pspnet import convert_pspnet
from gan2shape_jax.errors import UserError
from gan2shape_jax.latents import save_latent
from gan2shape_jax.weights import save_weights
from tools import command_line
from tools.convert_stylegan2 import check_replaceable, convert_file

LPIPS = "checkpoints/lpips/vgg16"
# What the eight configurations of the release name, without endings.
EXPECTED = (
  *(
    f"checkpoints/stylegan2/stylegan2-{name}"
    for name in (
      "catface-config-e",
      "celeba-config-e",
      "synface-config-e",
      "car-config-f",
      "church-config-f",
    )
  ),
  *(
    f"checkpoints/gan2shape/{name}_pretrain"
    for name in ("cat", "celeba", "synface")
  ),
  *(
    f"checkpoints/view_light/{name}{what}_mvn"
    for name in ("", "cat_", "celeba_", "synface_")
    for what in ("view", "light")
  ),
  "checkpoints/parsing/bisenet",
  "checkpoints/parsing/pspnet_voc",
  "checkpoints/parsing/pspnet_ade20k",
  LPIPS,
  *(
    f"data/{name}/latents"
    for name in (
      "cat",
      "celeba",
      "synface/test",
      "synface/train",
      "car",
      "church",
    )
  ),
)


class Piece(NamedTuple):
  """Something to convert.

  Attributes:
    sources: the files that it is in.
    target: relative to the output, without an ending.
    convert: writes the target, and returns what is worth saying about it.
  """

  sources: tuple[Path, ...]
  target: Path
  convert: Callable[..., str]


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the program and returns its exit code."""
  return command_line.run(run, make_parser(), arguments)


def make_parser() -> argparse.ArgumentParser:
  """The options."""
  parser = command_line.make_parser(__doc__)
  add = parser.add_argument
  add("--root", type=Path, required=True, help="where the release is unpacked")
  add("--output", type=Path, help="folder for the results (default: the root)")
  return parser


def run(options: argparse.Namespace) -> None:
  """Converts from the root to the output, or beside the files."""
  convert_release(options.root, options.output or options.root)


def convert_release(root: Path, output: Path) -> None:
  """Converts all that is there, then sums up.

  Raises:
    UserError: nothing is there, some file cannot be converted, or nothing be
      written.
  """
  pieces = list(find_pieces(root))
  if not pieces:
    raise UserError(
      f"{root}: no file of the release is there; name the folder that has"
      " checkpoints/ and data/"
    )
  failed = []
  with writing(output, "--output"):
    for piece in pieces:
      names = " and ".join(str(p.relative_to(root)) for p in piece.sources)
      try:
        said = piece.convert(*piece.sources, output / piece.target)
        print(f"{names}: {said}", flush=True)
      except UserError as error:
        failed.append(str(error))
        print(f"{names}: FAILED", flush=True)
  targets = {str(piece.target) for piece in pieces}
  missing = [name for name in EXPECTED if name not in targets]
  if missing:
    print("Not found, and not needed by every configuration:")
    print("\n".join(f"  {name}" for name in missing))
  if failed:
    raise UserError(
      f"{len(failed)} of {len(pieces)} could not be converted:\n"
      + "\n".join(failed)
    )


def find_pieces(root: Path) -> Iterator[Piece]:
  """Everything under a root that there is a conversion for."""
  for pattern, convert in (
    ("checkpoints/stylegan2/*.pt", write_gan),
    ("checkpoints/stylegan2/*.pkl", write_gan),
    ("checkpoints/gan2shape/*.pth", write_networks),
    ("checkpoints/view_light/*.pth", write_distribution),
    ("checkpoints/parsing/*.pth", write_parser),
  ):
    for path in sorted(root.glob(pattern)):
      yield Piece((path,), path.relative_to(root).with_suffix(""), convert)
  vgg, linear = (
    next(iter(sorted(root.rglob(name))), None)
    for name in ("vgg16-*.pth", "v0.1/vgg.pth")
  )
  if vgg and linear:
    yield Piece((vgg, linear), Path(LPIPS), write_lpips)
  for folder in sorted({p.parent for p in root.glob("data/**/latents/*.pt")}):
    yield Piece((folder,), folder.relative_to(root), write_latents)


def write_gan(path: Path, target: Path) -> str:
  """Writes generator and discriminator."""
  gan = convert_file(path, target)
  return f"GAN of {gan.arch.image_size} px"


def write_networks(path: Path, target: Path) -> str:
  """Writes the five networks."""
  converted = convert_networks(read_checkpoint(path))
  sizes = converted.sizes._asdict()
  _save(target, converted.params, converted.provenance, networks=sizes)
  return f"networks for {converted.sizes.image_size} px"


def write_distribution(path: Path, target: Path) -> str:
  """Writes mean and covariance."""
  file = read_checkpoint(path)
  gaussian = convert_distribution(file)
  _save(target, gaussian, file.provenance())
  return f"distribution of {gaussian['mean'].size} numbers"


def write_parser(path: Path, target: Path) -> str:
  """Writes BiSeNet or PSPNet, told apart by the file's name."""
  file = read_checkpoint(path)
  convert = convert_bisenet if "bisenet" in path.stem else convert_pspnet
  params = _named(path, lambda: convert(_state(file)))
  classes = params["classes"]["kernel"].shape[-1]
  _save(target, params, file.provenance(), classes=classes)
  return f"{classes} classes"


def write_lpips(vgg: Path, linear: Path, target: Path) -> str:
  """Writes VGG16 and the linear weights."""
  files = [read_checkpoint(path) for path in (vgg, linear)]
  params = _named(vgg, lambda: convert_lpips(*map(_state, files)))
  _save(target, params, [file.provenance() for file in files])
  return "LPIPS"


def write_latents(folder: Path, target: Path) -> str:
  """Writes NAME.npy for each latent in the files of a folder."""
  target.mkdir(parents=True, exist_ok=True)
  shapes, failed, sources = [], [], {}
  for path in sorted(folder.glob("*.pt")):
    try:
      latents = convert_latents(read_checkpoint(path))
    except UserError as error:
      failed.append(str(error))
      continue
    for name, latent in latents.items():
      if name in sources:
        failed.append(
          f"{path}: has a latent of {name}, as has {sources[name]}; keep one"
        )
        continue
      sources[name] = path
      save_latent(target / f"{name}.npy", latent)
      shapes.append(str(latent.shape))
  if failed:
    raise UserError("\n".join(failed))
  return f"{len(shapes)} latents of shape {' or '.join(sorted(set(shapes)))}"


def _state(file: CheckpointFile) -> dict:
  """Arrays of a state dictionary, which may be an entry of the file."""
  content = file.content
  if isinstance(content, dict):
    content = content.get("state_dict", content)
  return file.arrays(content)


def _named(path, convert):
  """Names the file in the messages of tables that do not know it."""
  try:
    return convert()
  except UserError as error:
    raise UserError(f"{path}: {error}") from error


def _save(target, tree, provenance, **facts):
  check_replaceable(target)
  save_weights(target, tree, facts | {"provenance": provenance})


if __name__ == "__main__":
  sys.exit(main())
