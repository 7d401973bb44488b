#!/usr/bin/env bash
# The cluster's MLflow server, on the head's private address: mlflow_server.sh start|stop
# It runs beside Ray's head and ends with it. What it holds stays in ~/mlflow on the head, for the next `ray up`.
#   MLFLOW_STORE  sqlite (default) or the URL of a database; kept for the next start
#   MLFLOW_AUTH   off (default) or on: people give a name and a password; kept for the next start
set -euo pipefail
umask 077
script=$(realpath "$0")
mkdir -p ~/mlflow
cd ~/mlflow
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false  # eight processes for what this project does not use
export MLFLOW_DISABLE_TELEMETRY=true

stop() {
    local group
    group=$(cat group 2> /dev/null) || return 0
    grep -qsz mlflow_server.sh "/proc/$group/cmdline" || return 0  # it ended, and another has its number
    kill -TERM -- "-$group"
    tail --pid="$group" -f /dev/null
}

serve() {  # until Ray's head ends; one that crashes is started again
    local head server
    head=$(pgrep -n -u "$(id -u)" gcs_server)
    trap 'trap "" TERM; kill -TERM 0; wait; exit' TERM
    while kill -0 "$head" 2> /dev/null; do
        mlflow server "$@" & server=$!
        while kill -0 "$head" 2> /dev/null && kill -0 "$server" 2> /dev/null; do sleep 1 & wait $!; done
    done
    kill -TERM $$
}

with_passwords() {
    if [ ! -f auth.ini ]; then
        printf '[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///%s/auth.db\n' "$PWD" > auth.ini
        printf 'authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n' >> auth.ini
        printf 'admin_username = admin\nadmin_password = %s\n' "$(openssl rand -hex 16)" >> auth.ini
        openssl rand -hex 32 > secret
    fi
    MLFLOW_AUTH_CONFIG_PATH=$PWD/auth.ini MLFLOW_FLASK_SERVER_SECRET_KEY=$(cat secret)
    export MLFLOW_AUTH_CONFIG_PATH MLFLOW_FLASK_SERVER_SECRET_KEY
}

start() {
    local kept='' options=()
    kept=$(cat settings 2> /dev/null) || true
    local store=${MLFLOW_STORE:-${kept% *}} auth=${MLFLOW_AUTH:-${kept#* }}
    store=${store:-sqlite} auth=${auth:-off}
    echo "$store $auth" > settings
    [ "$store" != sqlite ] || store=sqlite:///$PWD/mlflow.db
    if [ "$auth" = on ]; then
        with_passwords
        options=(--app-name basic-auth)
        echo "MLflow: the password of admin is in $PWD/auth.ini"
    fi
    stop
    setsid "$script" serve --host "$HEAD_IP" --port 5000 --workers 1 --backend-store-uri "$store" \
        --serve-artifacts --artifacts-destination "$PWD/artifacts" \
        --allowed-hosts "$HEAD_IP:*,localhost:*,127.0.0.1:*" "${options[@]}" < /dev/null >> server.log 2>&1 &
    echo $! > group
    until curl --silent --fail --output /dev/null "http://$HEAD_IP:5000/health"; do
        if [ "$SECONDS" -gt 120 ]; then tail server.log; stop; exit 1; fi
        sleep 1
    done
    echo "MLflow: http://$HEAD_IP:5000"
}

case "${1:-}" in
    start | stop | serve) "$@" ;;
    *) sed -n '2,5s/^# //p' "$script"; exit 2 ;;
esac
