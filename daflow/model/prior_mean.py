"""Scoring by a Gaussian of another mean than that of the training."""

from __future__ import annotations

import copy
from dataclasses import replace

from daflow.core.errors import InputError
from daflow.model.scoring_model import BundleModel, ScoringModel


def with_prior_mean(model: ScoringModel, mean: float) -> ScoringModel:
    """Return a model whose normal windows follow a Gaussian around another mean; the given one stays as it is.

    Args:
        model: a model of `daflow.model.load.load`.
        mean: R; the nll of a window is then that of its z against a Gaussian of unit variance around R.

    Raises:
        InputError: it is a bundle of another mean, or its evidence was fitted to the nll with another mean.
    """
    if isinstance(model, BundleModel):
        if (trained := model.bundle.manifest.model.get("prior_mean")) != mean:
            raise InputError(
                f"{model.bundle.folder} is a bundle, whose graph holds the prior mean {trained}; scoring with {mean} "
                "needs the checkpoint."
            )
        return model
    from daflow.model.flow_model import FlowModel, UntrainedModel

    if isinstance(model, UntrainedModel):
        return model.with_prior_mean(mean)
    if not isinstance(model, FlowModel):
        raise InputError(f"{model.name} has no prior whose mean could be changed.")
    checkpoint = model.checkpoint
    trained = checkpoint.model.config.prior_mean
    if trained == mean:
        return model
    if checkpoint.evidence is not None:
        raise InputError(
            f"The evidence of {model.name} was fitted with the prior mean {trained}; scoring with {mean} needs a model "
            "trained with --evidence flow."
        )
    flow = copy.deepcopy(checkpoint.model)
    flow.config = replace(flow.config, prior_mean=mean)
    return FlowModel(replace(checkpoint, model=flow), model.name)
