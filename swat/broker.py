"""Redis as Celery's broker, for an application whose messages may all be lost."""

from kombu.transport import redis


class Channel(redis.Channel):
    """A channel that does not put back what was not finished when it is closed.

    Beat says again what is due within seconds; and where Redis itself has gone, putting back ends
    the whole worker, since the connection was closed already (kombu 5.7: "NoneType has no
    attribute hostname").
    """

    do_restore = False


class Transport(redis.Transport):
    """What the setting `broker_transport` names."""

    Channel = Channel
