"""LangChain agents, with a real vLLM server behind them."""

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from streaming_chat import StreamingModel, calling

from inftythink_graph import ChatInftyThink, ChatVLLM, create_reasoning_tool
from inftythink_graph.answers import extract_answer
from inftythink_graph.serve import RunningServer

QUESTION = "What is the greatest common divisor of 3534 and 57?"


async def test_an_agent_has_a_hard_problem_thought_through(chat_vllm: ChatVLLM) -> None:
    """The brain is scripted, because the bundled model can't call tools; the thinking is real."""
    thinks = create_reasoning_tool(chat_vllm)
    brain = StreamingModel(script=[calling("", thinks.name, question=QUESTION), "It is 57."])
    agent: Any = create_agent(brain, [thinks])
    asked = {"messages": [HumanMessage(QUESTION)]}
    items = [item async for item in agent.astream(asked, stream_mode=["messages", "values"])]
    result: ToolMessage = items[-1][1]["messages"][2]
    assert extract_answer(str(result.content)) == "57"
    assert result.artifact["status"] == "answered"
    assert result.artifact["epochs"] > 8, "more than LangChain's own recursion limit leaves room for"
    assert result.artifact["usage"]["peak_context"] <= 256
    said = [payload[0] for mode, payload in items if mode == "messages" and isinstance(payload[0], AIMessageChunk)]
    assert "".join(chunk.text for chunk in said) == "It is 57."


async def test_the_chat_model_streams_and_says_the_same(chat_vllm: ChatVLLM) -> None:
    model = ChatInftyThink(model=chat_vllm)
    whole = model.invoke(QUESTION)
    chunks: Any = [chunk async for chunk in model.astream(QUESTION)]
    merged = chunks[0] + chunks[1:]
    assert merged.content == whole.content
    assert merged.usage_metadata["output_tokens"] == whole.usage_metadata["output_tokens"]  # type: ignore[index]
    assert whole.usage_metadata["input_token_details"]["cache_read"] > 0  # type: ignore[index]
    assert len(chunks) > whole.usage_metadata["output_tokens"] / 4  # type: ignore[index]
    assert extract_answer(whole.text) == "57"
    assert model.get_num_tokens_from_messages([HumanMessage(QUESTION)]) == chat_vllm.count_prompt_tokens(
        [{"role": "user", "content": QUESTION}]
    )


async def test_an_agent_whose_brain_thinks_and_calls_a_tool(rehearsed_server: RunningServer) -> None:
    """The tool call is the model's own, written in a text that vLLM's parser reads."""
    asked: list[str] = []

    @tool
    def get_weather(location: str) -> str:
        """Get weather at a location."""
        asked.append(location)
        return "It's sunny."

    inner = ChatVLLM(model=rehearsed_server.model, base_url=rehearsed_server.base_url)
    agent: Any = create_agent(ChatInftyThink(model=inner), [get_weather])
    question = {"messages": [HumanMessage("What is the weather in San Francisco, CA?")]}
    for _ in range(2):
        messages = (await agent.ainvoke(question))["messages"]
        assert [message.type for message in messages] == ["human", "ai", "tool", "ai"]
        call, answer = messages[1], messages[-1]
        assert [block["type"] for block in call.content_blocks] == ["reasoning", "tool_call"]
        assert call.response_metadata["finish_reason"] == "tool_calls"
        assert answer.text == "It is sunny."
    items = [item async for item in agent.astream(question, stream_mode=["messages", "values"])]
    chunks = [payload[0] for mode, payload in items if mode == "messages" and isinstance(payload[0], AIMessageChunk)]
    assert "".join(chunk.text for chunk in chunks) == "It is sunny."
    assert asked == ["San Francisco, CA"] * 3
