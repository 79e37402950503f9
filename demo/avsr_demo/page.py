"""The page: its head, its parts, and the endpoint for programs."""

import gradio as gr

from avsr_demo import panels
from avsr_demo.endpoint import add_endpoint
from avsr_demo.live_tab import add_live_tab
from avsr_demo.recording_part import add_recording_part
from avsr_demo.service import Service
from avsr_demo.workers import MOST_WAITING

_KEEP_S = 900  # whatever is left of a visit is deleted after this time, in seconds
_SPARE_THREADS = 16  # for what is answered at once


def build_page(service: Service) -> gr.Blocks:
    """Build the page; the line of the visitors who want something read is the service's own."""
    page = gr.Blocks(
        title="avsr: heard and lip-read", analytics_enabled=False, delete_cache=(60, _KEEP_S)
    )
    with page:
        gr.HTML(panels.header(service.recognizer.loaded))
        with gr.Tabs():
            with gr.Tab("A recording"):
                add_recording_part(service)
            add_live_tab(service.recognizer.loaded)
        add_endpoint(service)

        def release(request: gr.Request) -> None:
            service.release(request.session_hash or "")

        page.unload(release)
    page.queue(max_size=4 * MOST_WAITING, default_concurrency_limit=None)
    return page


def threads_of_page(n_workers: int) -> int:
    """How many threads Gradio needs: one for each visitor who waits or is answered."""
    return n_workers + MOST_WAITING + _SPARE_THREADS
