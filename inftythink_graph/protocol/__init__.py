"""The InftyThink text format. No other module knows its tags.

The reasoner, the data builder and the trainer all render and parse through :class:`Protocol`, so that what a model is
trained on is what it is asked at inference (Yan et al. 2025, arXiv 2503.06692, section 3.1)::

    question                        -> <think> segment_1 </think> <summary> summary_1 </summary>
    question, <history> summary_1   -> <think> segment_2 </think> <summary> summary_2 </summary>
    question, <history> summary_n-1 -> <think> segment_n </think> conclusion

Messages are dictionaries with ``role`` and ``content``: the form that LangChain, the OpenAI API and TRL all accept. A
last message of the role ``assistant`` is a prefill: the model goes on writing it.
"""

from inftythink_graph.protocol.parsing import CUT_REASONS, Parsed, ParsedKind, parse, parse_summary
from inftythink_graph.protocol.prompting import Protocol
from inftythink_graph.protocol.streaming import Part, PartStream
from inftythink_graph.protocol.tags import (
    HISTORY,
    PROTOCOL_VERSION,
    SUMMARY,
    TAGS,
    THINK,
    Content,
    Conversation,
    Message,
    Question,
    neutralize,
    question_text,
)

__all__ = [
    "CUT_REASONS",
    "HISTORY",
    "PROTOCOL_VERSION",
    "SUMMARY",
    "TAGS",
    "THINK",
    "Content",
    "Conversation",
    "Message",
    "Parsed",
    "ParsedKind",
    "Part",
    "PartStream",
    "Protocol",
    "Question",
    "neutralize",
    "parse",
    "parse_summary",
    "question_text",
]
