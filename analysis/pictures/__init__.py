"""Pictures: functions from what was analysed to plotly figures, and figures as files."""

from analysis.pictures.album import album
from analysis.pictures.differences import difference_dots
from analysis.pictures.dose_response import attack_dose_response, safety_dose_response
from analysis.pictures.front_pair import front_pair, front_pairs
from analysis.pictures.front_panels import front_panels
from analysis.pictures.heatmaps import heatmaps
from analysis.pictures.parallel import parallel_coordinates
from analysis.pictures.price import price_of_safety
from analysis.pictures.ranking import probability_ranking
from analysis.pictures.study_pair import study_pair

__all__ = [
    "album",
    "attack_dose_response",
    "difference_dots",
    "front_pair",
    "front_pairs",
    "front_panels",
    "heatmaps",
    "parallel_coordinates",
    "price_of_safety",
    "probability_ranking",
    "safety_dose_response",
    "study_pair",
]
