"""An RTSP camera that shows a folder of JPEG pictures again and again at 30 a second, for the system's Python.

Needs Debian's gir1.2-gst-rtsp-server-1.0, python3-gi and gstreamer1.0-plugins-base, -good, -bad and -ugly.
    /usr/bin/python3 infra/lab/rtsp_camera.py PORT FOLDER      pictures FOLDER/00000.jpg, 00001.jpg, ...
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

LAUNCH = (
    '( multifilesrc location="{folder}/%05d.jpg" loop=true caps="image/jpeg,framerate=30/1" ! jpegdec ! videoconvert'
    " ! video/x-raw,format=I420 ! identity sync=true ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15"
    " ! rtph264pay name=pay0 pt=96 config-interval=1 )"
)


def main() -> None:
    """Serve rtsp://127.0.0.1:PORT/camera until killed."""
    port, folder = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_shared(True)
    factory.set_launch(LAUNCH.format(folder=folder))
    server.get_mount_points().add_factory("/camera", factory)
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
