"""Rates and sizes that the whole system agrees on, each with its unit and its reason."""

__all__ = [
    "AUDIO_ENCODER_FPS",
    "GREY_MEAN",
    "GREY_STD",
    "GREY_WEIGHTS",
    "MEL_HOP",
    "MOUTH_SIZE",
    "SAMPLES_PER_AUDIO_FRAME",
    "SAMPLES_PER_VIDEO_FRAME",
    "SAMPLE_RATE",
    "VIDEO_CROP_SIZE",
    "VIDEO_FPS",
]

SAMPLE_RATE = 16_000  # Hz, what the Whisper encoder expects
VIDEO_FPS = 25  # frames per second, what AV-HuBERT was trained on
SAMPLES_PER_VIDEO_FRAME = SAMPLE_RATE // VIDEO_FPS  # 640 samples of audio beside each video frame
AUDIO_ENCODER_FPS = 50  # frames per second that leave the Whisper encoder
MEL_HOP = 160  # samples between mel frames (10 ms)
SAMPLES_PER_AUDIO_FRAME = SAMPLE_RATE // AUDIO_ENCODER_FPS  # 320 samples per encoder frame
MOUTH_SIZE = 96  # pixels, side of the stored square mouth crop
VIDEO_CROP_SIZE = 88  # pixels, side of the centre crop that the video encoder sees
GREY_WEIGHTS = (0.2989, 0.587, 0.114)  # R, G, B to grey, as in the published models' transform
GREY_MEAN = 0.421  # mean grey value of mouth crops in [0, 1], published models
GREY_STD = 0.165  # standard deviation of the same
