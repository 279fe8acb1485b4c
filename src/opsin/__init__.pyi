from .data.dataset import Dataset as Dataset
from .data.load import load_data as load_data
from .data.preprocess import Preprocess as Preprocess
from .errors import CheckFailed as CheckFailed
from .errors import OpsinError as OpsinError
from .evidence.agreement import agreement as agreement
from .evidence.check import check as check
from .evidence.compare import compare as compare
from .explanation import inside as inside
from .explanation.explain import explain as explain
from .inference.evaluate import evaluate as evaluate
from .inference.predict import predict as predict
from .models.build import build_model as build_model
from .models.classifier import Classifier as Classifier
from .models.load import load_model as load_model
from .records import Comparison as Comparison
from .records import Evidence as Evidence
from .records import Explanation as Explanation
from .records import Prediction as Prediction
from .records import Scores as Scores
from .records import Snapshot as Snapshot
from .reporting.report import report as report
from .training.recipe import Recipe as Recipe
from .training.recorder.record import record as record
from .training.run import Run as Run
from .training.train import train as train

__version__: str
