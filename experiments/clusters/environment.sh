# What every shell on a node of the cluster has; cluster.yaml puts it into ~/.bashrc.
export PATH=~/raytransfer/.venv/bin:$PATH
export RAY_AUTH_MODE=token
export RAY_USAGE_STATS_ENABLED=0
# Ray closes a connection that is silent for 30 s; an answer that got lost then is missed after 7 minutes only.
export RAY_grpc_keepalive_timeout_ms=60000 RAY_grpc_client_keepalive_time_ms=75000
export RAY_grpc_client_keepalive_timeout_ms=30000
if [ -f ~/ray_bootstrap_config.yaml ]; then  # the launcher's file, as JSON, on the head only
    export HEAD_IP=$(grep -o '"head_ip": "[^"]*"' ~/ray_bootstrap_config.yaml | cut -d'"' -f4)
    # The head drives; trials and pretraining run on the workers, where there are any.
    if grep -q '"worker_ips": \[\]' ~/ray_bootstrap_config.yaml; then
        export HEAD_RESOURCES=
    else
        export HEAD_RESOURCES='--num-cpus=0 --num-gpus=0'
    fi
fi
