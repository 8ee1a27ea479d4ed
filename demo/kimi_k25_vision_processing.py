# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image processor of the tiny model, code of its repository. vLLM runs it, and has one itself since 0.22."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers.image_processing_utils import BaseImageProcessor, BatchFeature


class KimiK25VisionProcessor(BaseImageProcessor):
    """Cuts pictures, and the frames of video chunks, into patches. A medium is C({"type": "image", "image": ...})."""

    model_type = "kimi_k25"

    def __init__(self, media_proc_cfg: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.media_proc_cfg = media_proc_cfg
        self.num_frames_per_chunk = media_proc_cfg["temporal_merge_kernel_size"]

    @staticmethod
    def _frames(media: dict[str, Any]) -> list[Any]:
        frames = [media["image"]] if media["type"] == "image" else media["video_chunk"]
        pictures = [frame if isinstance(frame, Image.Image) else getattr(frame, "media", frame) for frame in frames]
        return [picture.convert("RGB") for picture in pictures]

    def _sizes(self, media: dict[str, Any]) -> tuple[list[int], list[int]]:
        """Width and height after scaling, and after padding to whole merged patches, in pixels."""
        config = self.media_proc_cfg
        patch = config["patch_size"]
        limit = config["in_patch_limit" if media["type"] == "image" else "in_patch_limit_each_frame"]
        side = config["patch_limit_on_one_side"] * patch
        width, height = self._frames(media)[0].size
        patches = max(1, width // patch) * max(1, height // patch)
        scale = min(1.0, math.sqrt(limit / patches), side / width, side / height)
        scaled = [max(1, int(length * scale)) for length in (width, height)]
        merged = config["merge_kernel_size"] * patch
        return scaled, [math.ceil(length / merged) * merged for length in scaled]

    def media_tokens_calculator(self, media: dict[str, Any]) -> int:
        merged = self.media_proc_cfg["merge_kernel_size"] * self.media_proc_cfg["patch_size"]
        return math.prod(length // merged for length in self._sizes(media)[1])

    def preprocess(self, medias: list[dict[str, Any]], return_tensors: Any = None) -> BatchFeature:
        config = self.media_proc_cfg
        patch = config["patch_size"]
        mean, deviation = np.float32(config["image_mean"]), np.float32(config["image_std"])
        patches, grids = [], []
        for media in medias:
            scaled, (width, height) = self._sizes(media)
            frames = self._frames(media)
            for frame in frames:
                pixels = np.zeros((height, width, 3), np.float32)
                pixels[: scaled[1], : scaled[0]] = np.asarray(frame.resize(scaled), np.float32) / 255
                pixels = (pixels - mean) / deviation
                pixels = pixels.reshape(height // patch, patch, width // patch, patch, 3).transpose(0, 2, 4, 1, 3)
                patches.append(pixels.reshape(-1, 3, patch, patch))
            grids.append([len(frames), height // patch, width // patch])
        return BatchFeature(
            {"pixel_values": torch.from_numpy(np.concatenate(patches)), "grid_thws": torch.tensor(grids)}
        )
