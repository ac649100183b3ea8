"""Pictures. matplotlib is loaded when one is drawn."""

from gradnerve.viz.curves import confusion_matrix, learning_curves

__all__ = ["confusion_matrix", "learning_curves"]
