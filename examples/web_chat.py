"""A small web chat that shows the thinking as it happens.

Run as: ``python examples/web_chat.py`` (the bundled model, in this process), or with ``--base-url
http://127.0.0.1:8000/v1`` (a vLLM server). It listens on this machine alone unless ``--host`` says otherwise, and
neither the server nor the page asks for anything elsewhere.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from html import escape
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # the bundled model comes with the package

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request, Response
from langchain_core.exceptions import ModelError
from langchain_core.language_models import BaseChatModel

from inftythink_graph import ChatVLLM, EmbeddedChatModel, InftyThinkError, create_inftythink_graph
from inftythink_graph.errors import one_line
from inftythink_graph.exposure import exposure_warning
from inftythink_graph.models import DescribesItself

sys.path.insert(0, str(Path(__file__).parent))
from web_chat_view import Run, answer_html, meter_html, thoughts

__all__ = ["Chat", "build_app", "main"]

QUESTIONS = (
    "Find the Collatz stopping time of 17673.",
    "What is the greatest common divisor of 3534 and 57?",
    "Multiply 89 by 122 by repeated addition.",
)
log = logging.getLogger("web_chat")
REFRESH = 0.15  # seconds between two pictures of a run
# The browser itself holds the page to its own server, whatever a model writes.
CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; frame-src 'none'; object-src 'none';"
    " form-action 'self'; base-uri 'self'"
)
CSS = (Path(__file__).parent / "web_chat.css").read_text()


class Chat:
    """The runs of all browser sessions with one model.

    Args:
        model: any LangChain chat model.
        follow_up: a question is asked together with what was said before, not by itself.
        options: of ``create_inftythink_graph``.
    """

    def __init__(self, model: BaseChatModel, *, follow_up: bool, **options: Any) -> None:
        self.graph = create_inftythink_graph(model, **options)
        self.window = model.describe().window if isinstance(model, DescribesItself) else None
        self.follow_up = follow_up
        self._running: dict[str, asyncio.Task[None]] = {}

    async def pictures(self, session: str, said: list[dict[str, str]]) -> AsyncGenerator[Run]:
        """Run the graph on a conversation; gives the run again and again as it goes on, the last time when it is over.

        Ends the run when the reader goes away.
        """
        run = Run(window=self.window)
        task = asyncio.create_task(self._follow(run, said if self.follow_up else said[-1:]))
        self._running[session] = task
        seen = 0
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=REFRESH)
                if run.changes != seen and not task.done():
                    seen = run.changes
                    yield run
            self._conclude(run, task)
            yield run
        finally:
            task.cancel()
            if self._running.get(session) is task:
                del self._running[session]

    async def _follow(self, run: Run, said: list[dict[str, str]]) -> None:
        async for mode, item in self.graph.astream({"messages": said}, stream_mode=["messages", "custom"]):
            run.take(mode, item)

    @staticmethod
    def _conclude(run: Run, task: asyncio.Task[None]) -> None:
        """What ended a run from outside belongs to its picture."""
        if task.cancelled():
            run.end("stopped")
        elif (error := task.exception()) is not None:
            run.end("failed", one_line(error))
            if not isinstance(error, InftyThinkError | ModelError | ConnectionError):
                log.error("a run failed", exc_info=error)

    def stop(self, request: gr.Request) -> None:
        """End the run of a browser session, if there is one."""
        task = self._running.get(request.session_hash or "")
        if task is not None:
            task.get_loop().call_soon_threadsafe(task.cancel)


def _buttons(send: gr.Button, stop: gr.Button, *, running: bool) -> dict[Any, Any]:
    return {send: gr.update(visible=not running), stop: gr.update(visible=running)}


def build_page(chat: Chat, about: str, *, sessions: int) -> gr.Blocks:
    """The page. ``about`` says in a few words which model answers."""
    with gr.Blocks(title="InftyThink", fill_height=True, analytics_enabled=False) as page:
        gr.HTML(f'<div class="it-head"><b>InftyThink</b><span>{escape(about)}</span></div>')
        talk = gr.Chatbot(
            show_label=False,
            render_markdown=False,  # what a model writes is text: no links, no images; HTML in it is escaped
            latex_delimiters=[],
            allow_tags=False,
            buttons=[],
            feedback_options=None,
            elem_id="talk",
            scale=1,
            height="62vh",
            placeholder="Ask something that takes long to think through.",
            examples=[{"text": question} for question in QUESTIONS],
        )
        meter = gr.HTML("", elem_id="meter")
        with gr.Row(elem_id="ask", equal_height=True):
            box = gr.Textbox(show_label=False, container=False, scale=8, placeholder="A question", elem_id="question")
            send = gr.Button("Ask", variant="primary", scale=1, min_width=90, elem_id="send")
            stop = gr.Button("Stop", variant="stop", scale=1, min_width=90, elem_id="stop", visible=False)
        state = gr.State({"shown": [], "said": []})

        async def answer(question: str, so_far: dict[str, Any], request: gr.Request) -> AsyncGenerator[dict[Any, Any]]:
            if not question.strip():
                yield {box: ""}
                return
            shown = [*so_far["shown"], {"role": "user", "content": escape(question)}]
            said = [*so_far["said"], {"role": "user", "content": question}]
            yield {talk: shown, box: gr.update(value="", interactive=False), **_buttons(send, stop, running=True)}
            key, run = uuid.uuid4().hex, Run()
            async with aclosing(chat.pictures(request.session_hash or "", said)) as pictures:
                async for run in pictures:
                    yield {talk: [*shown, *thoughts(run, key)], meter: meter_html(run)}
            shown += [*thoughts(run, key), {"role": "assistant", "content": gr.HTML(answer_html(run))}]
            said = [*said, {"role": "assistant", "content": run.conclusion}] if run.conclusion else so_far["said"]
            ended = {talk: shown, state: {"shown": shown, "said": said}, box: gr.update(interactive=True)}
            yield {**ended, **_buttons(send, stop, running=False)}

        def chosen(example: gr.SelectData) -> str:
            return str(example.value["text"])

        options: dict[str, Any] = {
            "inputs": [box, state],
            "outputs": [talk, meter, box, send, stop, state],
            "concurrency_id": "think",
            "concurrency_limit": sessions,
            "show_progress": "hidden",
            "api_visibility": "private",
        }
        gr.on([box.submit, send.click], answer, **options)
        talk.example_select(chosen, None, box, queue=False, api_visibility="private").then(answer, **options)
        stop.click(chat.stop, queue=False, api_visibility="private")
        talk.clear(lambda: ({"shown": [], "said": []}, ""), None, [state, meter], queue=False, api_visibility="private")
        talk.clear(chat.stop, queue=False, api_visibility="private")
        page.unload(chat.stop)
    return page


def build_app(chat: Chat, about: str, *, sessions: int = 16) -> FastAPI:
    """The page as a web application. At most ``sessions`` runs go on at once; further ones wait."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def hold_to_this_server(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["Content-Security-Policy"] = CONTENT_POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    # Fonts by name only: gradio's own themes ask a font server for theirs.
    theme = gr.themes.Soft(
        primary_hue="indigo", neutral_hue="slate", font=["system-ui", "sans-serif"], font_mono=["monospace"]
    )
    page = build_page(chat, about, sessions=sessions)
    gr.mount_gradio_app(app, page, path="/", footer_links=[], run_history=False, theme=theme, css=CSS, ssr_mode=False)
    return app


def main(argv: Sequence[str] | None = None) -> None:
    """Serve the chat until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-url", help="a vLLM server; without it, the bundled model answers in this process")
    parser.add_argument("--model", help="name on the server, or a local checkpoint folder")
    parser.add_argument("--max-epochs", type=int, default=200, help="most segments of a run (default: %(default)s)")
    parser.add_argument("--sessions", type=int, default=16, help="most runs at once (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default: %(default)s)")
    args = parser.parse_args(argv)
    try:
        if args.base_url:
            model: Any = ChatVLLM(base_url=args.base_url, **({"model": args.model} if args.model else {}))
        else:
            model = EmbeddedChatModel(**({"model_path": args.model} if args.model else {}))
        chat = Chat(model, follow_up=bool(args.base_url), max_epochs=args.max_epochs)
    except InftyThinkError as error:
        parser.exit(2, f"web_chat: {one_line(error)}\n")
    name = model.served_name if args.base_url else Path(args.model).name if args.model else "the bundled model"
    window = f", window {chat.window:,} tokens" if chat.window else ""
    remedy = "Put a proxy with a login before it, or leave --host out"
    if warning := exposure_warning(args.host, has_key=False, what="the chat", remedy=remedy):
        print(f"web_chat: {warning}", file=sys.stderr, flush=True)
    print(f"http://{args.host}:{args.port} ({name}{window}); Ctrl-C ends it", flush=True)
    app = build_app(chat, f"{name}{window}", sessions=args.sessions)
    uvicorn.run(app, host=args.host, port=args.port, log_level="warning", timeout_graceful_shutdown=2)


if __name__ == "__main__":
    main()
