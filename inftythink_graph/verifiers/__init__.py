"""Ready verifiers for ``create_inftythink_graph(..., verifier=...)``; any function of a candidate is one as well.

- :func:`exact_verifier`: equal to a known answer, letter by letter or as a number.
- :func:`gold_verifier`: means the same as a known answer, by algebra (math-verify) where it takes that.
- :func:`tool_verifier`: a LangChain tool decides.
- :func:`model_verifier`: a chat model judges.
- :func:`all_of`, :func:`any_of`: several of them as one.
"""

from inftythink_graph.answers import GoldVerifier, gold_verifier
from inftythink_graph.verifiers.combine import CombinedVerifier, all_of, any_of
from inftythink_graph.verifiers.exact import ExactVerifier, exact_verifier
from inftythink_graph.verifiers.model import JUDGE_INSTRUCTIONS, ModelVerifier, model_verifier
from inftythink_graph.verifiers.tool import ToolVerifier, tool_verifier

__all__ = [
    "JUDGE_INSTRUCTIONS",
    "CombinedVerifier",
    "ExactVerifier",
    "GoldVerifier",
    "ModelVerifier",
    "ToolVerifier",
    "all_of",
    "any_of",
    "exact_verifier",
    "gold_verifier",
    "model_verifier",
    "tool_verifier",
]
