#!/usr/bin/env bash
# Runs etcd, a Kubernetes API server and, once it is told so, a controller manager on loopback, until standard input
# ends: whoever started this holds the other end, so that nothing is left behind however it comes to its end.
# Arguments: FOLDER-OF-THE-PROGRAMS FOLDER-WITH-CERTIFICATES ETCD-PORT PEER-PORT API-PORT.
set -euo pipefail
assets=$1 folder=$2 etcd=$3 peer=$4 port=$5
cd "$folder"
stop() {
    kill "${pids[@]}" 2>/dev/null || true
    wait "${pids[@]}" 2>/dev/null || true
}
trap stop EXIT
pids=()
"$assets/etcd" --data-dir etcd --listen-client-urls "http://127.0.0.1:$etcd" \
    --advertise-client-urls "http://127.0.0.1:$etcd" --listen-peer-urls "http://127.0.0.1:$peer" \
    --initial-advertise-peer-urls "http://127.0.0.1:$peer" --initial-cluster "default=http://127.0.0.1:$peer" \
    --unsafe-no-fsync >etcd.log 2>&1 </dev/null &
pids+=($!)
serve() {
    "$assets/kube-apiserver" --etcd-servers="http://127.0.0.1:$etcd" --bind-address=127.0.0.1 --secure-port="$port" \
        --cert-dir=. --tls-cert-file=server.pem --tls-private-key-file=server.key --client-ca-file=ca.pem \
        --service-account-issuer="https://127.0.0.1:$port/" --service-account-key-file=sa.pub \
        --service-account-signing-key-file=sa.key --authorization-mode=RBAC \
        --disable-admission-plugins=ServiceAccount --service-cluster-ip-range=10.0.0.0/24 \
        --allow-privileged=true --advertise-address=127.0.0.1 --endpoint-reconciler-type=none \
        >>api.log 2>&1 </dev/null &
    server=$!
    pids+=("$server")
}
serve
# It gives up where there is no API server yet.
manage() {
    "$assets/kube-controller-manager" --kubeconfig=kubeconfig --authentication-kubeconfig=kubeconfig \
        --authorization-kubeconfig=kubeconfig --leader-elect=false --secure-port=0 \
        --controllers=namespace-controller,garbage-collector-controller,serviceaccount-controller \
        --concurrent-namespace-syncs=2 >manager.log 2>&1 </dev/null &
    pids+=($!)
}
# A line starts the controller manager or restarts the API server; the end of the input ends everything.
while read -r word; do
    case $word in
    manage) manage ;;
    restart)
        # Watches that are open would hold a graceful end up.
        kill -KILL "$server"
        wait "$server" 2>/dev/null || true
        serve
        ;;
    esac
done
