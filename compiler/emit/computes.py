"""The COMPUTEs of a layer: how each walks the activation memory, and what it takes of rings and residuals."""

import dataclasses

from ...hdl.geometry import Geometry
from ...hdl.instructions import Compute
from ...hdl.isa import Mode
from ..lower.layers import MachineLayer, digits_of
from ..place.parameters import ParameterBlock
from ..plan.digit_passes import PASSES
from ..plan.pieces import Piece
from ..plan.ring_use import Leaves, RingUse, Stays, Streams
from ..plan.tile_passes import TilePass
from .instructions import Walk


class Computes:
    """Builds the COMPUTEs of a layer.

    Parameters
    ----------
    layer: the layer.
    geometry: of the accelerator.
    parameters: of its weights; None for a max pool.
    """

    def __init__(self, layer: MachineLayer, geometry: Geometry, parameters: ParameterBlock | None) -> None:
        self.layer = layer
        self.geometry = geometry
        self.parameters = parameters
        self.digits = digits_of(layer.target, geometry)
        if parameters is not None:
            self.passes = PASSES[digits_of(layer.source, geometry), parameters.digits]

    def planes(self, tile_pass: TilePass) -> int:
        """Planes of a digit in the output memory."""
        return tile_pass.words.size if self.parameters is None else self.geometry.tile_words

    def compute(self, tile_pass: TilePass, piece: Piece, *, address: int, output: int) -> Compute:
        """A COMPUTE of a piece, of a convolution still without what it takes of rings and residuals.

        Parameters
        ----------
        address: of the block's first word in the activation memory.
        output: of the piece's first word in the output memory.
        """
        layer, block = self.layer, tile_pass.block
        row_pitch, band = block.inputs.columns.size, block.band
        # Column of the first window, counted from the first column held.
        first_column = block.outputs.columns.begin + piece.columns.begin
        left = first_column * layer.stride[1] - layer.pad_left - block.inputs.columns.begin
        return dataclasses.replace(
            self._walk(tile_pass, piece).compute(Mode.MAXIMUM if self.parameters is None else Mode.CONVOLVE),
            layer=layer.number,
            base=address + (band.skip_rows + piece.rows.begin * band.window_step) * row_pitch + left,
            pad_left=max(0, -left),
            width=row_pitch - max(0, left),
            output_base=output,
            output_pitch=piece.pixels,
        )

    def _walk(self, tile_pass: TilePass, piece: Piece) -> Walk:
        layer, block, words = self.layer, tile_pass.block, tile_pass.words.size
        if self.parameters is None:
            planes = tuple(range(words))
        else:
            planes = tuple(digit * words for digit in self.passes.activation_digit)
        return Walk(
            outputs_y=piece.rows.size,
            outputs_x=piece.columns.size,
            kernel_y=layer.kernel[0],
            kernel_x=layer.kernel[1],
            channels=1 if self.parameters is None else words,
            stride_y=block.band.window_step,
            stride_x=layer.stride[1],
            row_pitch=block.inputs.columns.size,
            plane_pitch=block.plane_pitch,
            digits=tuple(plane * block.plane_pitch for plane in planes),
        )

    def with_rings(self, compute: Compute, tile_pass: TilePass, *, older: int, last: bool) -> Compute:
        """A convolution's COMPUTE with its digit passes and what it takes of the rings and frees there.

        Parameters
        ----------
        older: weight words in the ring that belong to layers before.
        last: it is the last of its tile pass.
        """
        assert self.parameters is not None
        passes, use = self.passes, tile_pass.weights
        return dataclasses.replace(
            compute,
            shift_mask=passes.shift_mask,
            count_mask=passes.count_mask,
            weight_digit_mask=passes.weight_digit_mask,
            final_mask=passes.final_mask,
            weight_offset=older + (use.offset if isinstance(use, Stays) else 0),
            weight_words=self.parameters.run_words[tile_pass.tile],
            release=freed(use, last=last) > 0,
            release_constants=freed(tile_pass.constants, last=last) > 0,
            shift=self.layer.convolution.shift,
            maximum=self.layer.target.maximum,
            output_digits=self.digits - 1,
        )

    def with_residual(self, compute: Compute, address: int) -> Compute:
        """A convolution's COMPUTE that adds the residuals that begin at an address of their memory."""
        assert self.layer.residual is not None
        return dataclasses.replace(
            compute,
            residual=True,
            residual_base=address,
            residual_pitch=compute.output_pitch,
            residual_digits=digits_of(self.layer.residual, self.geometry) - 1,
            residual_scale=self.layer.convolution.residual_multiplier,
        )


def freed(use: RingUse | None, *, last: bool) -> int:
    """Words (or tiles of constants) that a COMPUTE of a tile pass frees in a ring; `last`: it is the pass's last."""
    if isinstance(use, Streams) or (last and isinstance(use, Leaves)):
        return use.words
    return 0
