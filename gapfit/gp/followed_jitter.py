"""Trials of deltas and sigmas with the jitter that a fit with them takes.

A fit raises the jitter where coefficients cancel each other (`gapfit.gp.conditioning`), and
that depends on deltas and sigmas. With deltas D and the factor U of K_mm, U D is that of
D K_mm D; the sums over the data become those of the trial at O(n_sparse³).
"""

from __future__ import annotations

from collections.abc import Callable

from gapfit.errors import LostDigitsError
from gapfit.gp.conditioning import well_conditioned
from gapfit.gp.evidence import Scales, system
from gapfit.gp.fold_grams import FoldGrams
from gapfit.gp.freedom import Freedom
from gapfit.gp.hyperparameters import THOROUGH, Ratios, ScoredScales, choose, judge
from gapfit.gp.normal_equations import NormalEquations
from gapfit.gp.raised_jitter import raised_jitter
from gapfit.gp.training_sums import TrainingSums

__all__ = ["FollowedJitter"]


class FollowedJitter:
    """Gram matrices whose jitter rises to that of the fits with trial deltas and sigmas.

    It does not fall again, which would lose digits: trials come in the order of their
    importance.

    Parameters
    ----------
    grams : FoldGrams
        With the jitter that every fit starts from; used up.

    Attributes
    ----------
    grams : FoldGrams
        With the present jitter.
    totals : list of NormalEquations
        Their sums over folds, by group.
    """

    def __init__(self, grams: FoldGrams) -> None:
        self.grams = grams
        self.totals = grams.totals()
        self._first, self._first_totals = grams.sums.whitening, self.totals

    def suits(self, scales: Scales) -> bool:
        """Return whether a fit with these scales takes no larger jitter."""
        return self._needed(scales) == self.grams.sums.whitening.jitter

    def judged(self, scales: Scales) -> ScoredScales:
        """Return the evidence and the held-out errors that a fit has with these scales.

        Raises
        ------
        LostDigitsError
            See `gapfit.gp.hyperparameters.judge`.
        """
        jitter, whitening = self._needed(scales), self.grams.sums.whitening
        if jitter != whitening.jitter:
            self.grams = self.grams.rewhitened(raised_jitter(whitening, jitter))
            self.totals = self.grams.totals()
        return judge(self.grams, self.totals, scales)

    def chosen(
        self,
        freedom: Freedom,
        tick: Callable[[], None] = lambda: None,
        ratios: Ratios = THOROUGH,
    ) -> ScoredScales:
        """Return the best deltas and sigmas, judged with the jitter of their fit.

        Parameters
        ----------
        freedom, tick, ratios
            See `gapfit.gp.hyperparameters.choose`.
        """
        best = choose(self.grams, self.totals, freedom, tick, ratios)
        if self.suits(best.scales):
            return best
        self.judged(best.scales)
        again = choose(self.grams, self.totals, freedom, ratios=ratios)
        return self.judged(again.scales)

    def _needed(self, scales: Scales) -> tuple[float, ...]:
        """Return the jitter of a fit, by block, or the present one where that is larger."""
        columns = self.grams.columns
        d = scales.column_scale(columns)
        present = self.grams.sums.whitening.jitter
        products = NormalEquations.of_products(*system(self._first_totals, scales, d))
        # Powers scale columns alone: the kernels of functions are identities.
        factors = self._first.scaled(columns.delta_scale(scales.delta))
        sums = TrainingSums(factors, "cholesky")
        sums.groups = {"all": products}
        try:
            sums, _ = well_conditioned(sums)
        except LostDigitsError:  # the fit itself may be as unlucky, and says so
            return present
        return tuple(map(max, sums.whitening.jitter, present))
