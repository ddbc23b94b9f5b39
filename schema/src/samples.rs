//! One specimen of every frame, for golden bytes, fuzz seeds and other languages' tests.
