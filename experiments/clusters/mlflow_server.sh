#!/usr/bin/env bash
# The cluster's MLflow server, on the head's private address: mlflow_server.sh start|stop
# It runs beside Ray's head and ends with it; what it holds stays in ~/mlflow, for the next `ray up`.
set -euo pipefail
folder=~/mlflow
mkdir -p "$folder"
cd "$folder"
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false  # eight processes for what this project does not use

stop() {
    local group
    group=$(cat group 2> /dev/null) && grep -qsz mlflow_server.sh "/proc/$group/cmdline" || return 0
    kill -TERM -- "-$group"
    tail --pid="$group" -f /dev/null
}

serve() {
    local head server
    head=$(pgrep -n -u "$(id -u)" gcs_server)
    trap 'trap - TERM; kill -TERM 0; wait; exit' TERM
    while kill -0 "$head" 2> /dev/null; do  # one that crashes is started again
        mlflow server "$@" & server=$!
        while kill -0 "$head" 2> /dev/null && kill -0 "$server" 2> /dev/null; do sleep 1 & wait $!; done
    done
    kill -TERM 0
}

start() {
    local store=${MLFLOW_STORE:-sqlite} options=()
    [ "$store" != sqlite ] || store="sqlite:///$folder/mlflow.db"
    if [ "${MLFLOW_AUTH:-off}" = on ]; then
        options=(--app-name basic-auth)
    fi
    stop
    setsid "$0" serve --host "$HEAD_IP" --port 5000 --workers 1 --backend-store-uri "$store" \
        --artifacts-destination "$folder/artifacts" --allowed-hosts "$HEAD_IP:*,localhost:*,127.0.0.1:*" \
        "${options[@]}" < /dev/null >> server.log 2>&1 &
    echo $! > group
    until curl --silent --fail --output /dev/null "http://$HEAD_IP:5000/health"; do
        kill -0 $! 2> /dev/null || { tail server.log; exit 1; }
        sleep 1
    done
    echo "MLflow: http://$HEAD_IP:5000"
}

"$@"
