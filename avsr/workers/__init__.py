"""Who does the work on many files: processes of this machine, or a cluster; one interface."""

from avsr.workers.choice import Workers, open_workers
from avsr.workers.local import LocalWorkers, available_cores
from avsr.workers.ray_cluster import RayCluster

__all__ = ["LocalWorkers", "RayCluster", "Workers", "available_cores", "open_workers"]
