"""An RTSP server at rtsp://127.0.0.1:PORT/live, for the system's Python with GStreamer's bindings.

Usage: rtsp_server.py PORT PIPELINE [USER PASSWORD]. PIPELINE ends in raw video; "ready" is printed once it serves.
"""

import sys


def main() -> None:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    port, pipeline, *account = sys.argv[1:]
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=port)
    factory = GstRtspServer.RTSPMediaFactory()
    encoder = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 sliced-threads=false"
    factory.set_launch(
        f"( {pipeline} ! videoconvert ! {encoder} ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
    )
    factory.set_shared(True)
    if account:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(*account), token)
        server.set_auth(auth)
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("viewer", "media.factory.access", True)
        permissions.add_permission_for_role("viewer", "media.factory.construct", True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/live", factory)
    if not server.attach(None):
        sys.exit("the port is taken")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
