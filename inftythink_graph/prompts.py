"""The instructions that the prompted protocol gives to a model that was never trained for InftyThink.

Only :mod:`inftythink_graph.protocol` imports them. The summary instruction asks for what the paper asks its summarizer
for (Yan et al. 2025, arXiv 2503.06692, section 3.2): what has been achieved, the key steps, the intermediate
conclusions, and what remains.
"""

__all__ = [
    "CONTINUE_INSTRUCTION",
    "FORCED_ANSWER_INSTRUCTION",
    "FORCED_THOUGHT",
    "REASON_INSTRUCTION",
    "SUMMARIZE_INSTRUCTION",
]

REASON_INSTRUCTION = (
    "Reason step by step. When the question has one final answer, put it within \\boxed{}."
    " If you run out of room, you will be asked to summarize what you have and can go on from that summary."
)

CONTINUE_INSTRUCTION = (
    "The text between the history tags is your own summary of the reasoning that you have already done on this"
    " question. Rely on it, do not repeat it, and go on from where it ends until you reach the answer."
)

SUMMARIZE_INSTRUCTION = (
    "Stop reasoning for now. Write a summary from which you, seeing only the question and this summary, can go on."
    " State what has been achieved so far, the key steps, every intermediate conclusion and value that is still needed,"
    " and what remains to be done. Carry over all that still matters from the earlier summary, if there is one."
    " Add no new reasoning. Use at most {budget} tokens, and write only the summary."
)

FORCED_ANSWER_INSTRUCTION = (
    "There is no room for more reasoning. Give your best final answer now, from what you have, within \\boxed{}."
)

FORCED_THOUGHT = "There is no room for more reasoning, so I answer from what I have."
