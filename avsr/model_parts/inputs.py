"""What a call of the model is given: sound and lips in either form, and the route of each clip."""

from collections.abc import Sequence

from torch import Tensor

from avsr.model_parts.parts import ModelParts
from avsr.model_parts.streams import EncodedStreams, batch_size
from avsr.route import Route
from avsr.trained_route import trained_route


def read_inputs(
    model: ModelParts,
    *,
    streams: EncodedStreams | None = None,
    route: Route | Sequence[Route] | None = None,
    modality: str | None = None,
    audio_rate: int | None = None,
    video_rate: int | None = None,
    allow_untrained_rate: bool = False,
    input_features: Tensor | None = None,
    audio_lengths: Tensor | None = None,
    video_values: Tensor | None = None,
    video_lengths: Tensor | None = None,
) -> tuple[EncodedStreams, list[Route]]:
    """Check the routes, and encode what they use unless ``streams`` has it.

    Args:
        model: the model.
        streams: what the encoders made of the clips.
        route: of all clips or of each; None: that of the three next arguments.
        modality: "audio", "video" or "av"; None: what is given.
        audio_rate: trained rate; None: the finest.
        video_rate: trained rate; None: the finest.
        allow_untrained_rate: use the nearest trained rate's projector and adapters.
        input_features: in place of ``streams``, the processor's outputs.
        audio_lengths: as the processor gives it.
        video_values: as the processor gives it.
        video_lengths: as the processor gives it.

    Returns:
        Both streams, and the route of each clip.

    Raises:
        ValueError: an untrained modality or rate, a missing stream, or not a route for each clip.
    """
    sizes = {
        name: len(tensor)
        for name, tensor in (("audio", input_features), ("video", video_values))
        if tensor is not None
    }
    if streams is not None:
        sizes = {encoded.stream: len(encoded.features) for encoded in streams.present}
    n_clips = batch_size(list(sizes.values()))
    if route is None:
        wanted = modality or ("av" if len(sizes) > 1 else next(iter(sizes)))
        asked = [(wanted, audio_rate, video_rate)] * n_clips
    else:
        given = [route] * n_clips if isinstance(route, Route) else route
        asked = [(one.modality, one.audio_rate, one.video_rate) for one in given]
    if len(asked) != n_clips:
        raise ValueError(f"{len(asked)} routes are given for {n_clips} clips")
    checked = {
        one: trained_route(model.config, *one, allow_untrained_rate=allow_untrained_rate)
        for one in dict.fromkeys(asked)
    }
    used = {stream for one in checked.values() for stream in one.streams}
    for one in checked.values():
        if missing := [stream for stream in one.streams if stream not in sizes]:
            raise ValueError(
                f'modality "{one.modality}" needs {" and ".join(missing)}, which is not given'
            )
    if streams is None:
        streams = model.encode(
            input_features=input_features if "audio" in used else None,
            audio_lengths=audio_lengths,
            video_values=video_values if "video" in used else None,
            video_lengths=video_lengths,
        )
    return streams, [checked[one] for one in asked]
