"""A server that clients of OpenAI's transcriptions speak to: one model, many requests at once.

From the wire to the words: :mod:`~avsr.serving.connections` cuts off whoever is too slow to ask,
:mod:`~avsr.serving.app` finds the route and checks the key, :mod:`~avsr.serving.line` has room or
refuses, :mod:`~avsr.serving.uploads` stores the file, :mod:`~avsr.serving.questions` reads what is
asked, :mod:`~avsr.serving.work` has a thread transcribe it, and :mod:`~avsr.serving.answers` writes
it down as OpenAI does. :class:`avsr.Recognizer` reads together what such threads want read at the
same time, to the results that each would have alone. Live captions have a way of their own, over a
WebSocket: :mod:`~avsr.serving.live_start` and :mod:`~avsr.serving.live_room`.
"""
