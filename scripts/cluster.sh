#!/usr/bin/env bash
# Starts a FoundationDB and three nodes over it on this machine, in data/cluster, and says how to chat across them. Ctrl-C stops
# all; what was said is there again at the next start. Options:
#   SUDA_CLUSTER_DIR=DIR      another folder         SUDA_CLUSTER_NODES=N   another number of nodes
#   SUDA_CLUSTER_PORT=4433    the first node's port; the others' follow
#   SUDA_CLUSTER_HTTP_PORT=8080   the same of plain HTTP;  SUDA_CLUSTER_FDB_PORT=4689   FoundationDB's
#   SUDA_BIN=FILE             a binary with FoundationDB's engine, instead of building one
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${SUDA_CLUSTER_DIR:-data/cluster}
count=${SUDA_CLUSTER_NODES:-3}
port=${SUDA_CLUSTER_PORT:-4433}
http_port=${SUDA_CLUSTER_HTTP_PORT:-8080}
fdb_port=${SUDA_CLUSTER_FDB_PORT:-4689}

if ! found=$(scripts/find-foundationdb.sh); then
  cat >&2 <<'SAY'
NOT STARTED: several nodes need FoundationDB, and there is none on this machine.

Get it: the FoundationDB project has packages of the server and the client (7.3) for Debian and Ubuntu among its releases,
  foundationdb-clients_7.3.*_amd64.deb and foundationdb-server_7.3.*_amd64.deb
The service that they start is not needed; this script runs an fdbserver of its own. Without root, unpack fdbserver, fdbcli and
libfdb_c.so into a folder, and say where they are:
  SUDA_FDB_SERVER=/folder/fdbserver SUDA_FDB_LIB=/folder make cluster
One node needs nothing of this: make run.
SAY
  exit 1
fi
eval "$found"
cli=$(dirname "$SUDA_FDB_SERVER")/fdbcli
[ -x "$cli" ] || cli=$(command -v fdbcli) || { echo "NOT STARTED: no fdbcli beside $SUDA_FDB_SERVER or on PATH" >&2; exit 1; }

suda=${SUDA_BIN:-}
if [ -z "$suda" ]; then
  cargo build --release -p suda-server --bin suda --features foundationdb-headers
  suda=${CARGO_TARGET_DIR:-target}/release/suda
fi

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
pids=()
stop() {
  trap - EXIT INT TERM
  echo "stopping …"
  # The nodes first: they have something to say to the store.
  if [ ${#pids[@]} -gt 1 ]; then
    kill -TERM "${pids[@]:1}" 2>/dev/null || true
    wait "${pids[@]:1}" 2>/dev/null || true
  fi
  if [ ${#pids[@]} -gt 0 ]; then
    kill -TERM "${pids[0]}" 2>/dev/null || true
    wait "${pids[0]}" 2>/dev/null || true
  fi
}
trap stop EXIT
trap 'stop; exit 0' INT TERM

# Each process in a session of its own, so that Ctrl-C reaches this script, and this script decides the order.
begin() { setsid "$@" & pids+=($!); }

cluster_file=$folder/fdb.cluster
[ -s "$cluster_file" ] || echo "suda:local@127.0.0.1:$fdb_port" > "$cluster_file"
address=$(sed 's/.*@//' "$cluster_file")
mkdir -p "$folder/fdb" "$folder/fdb-log"
begin "$SUDA_FDB_SERVER" -p "$address" -C "$cluster_file" -d "$folder/fdb" -L "$folder/fdb-log" > "$folder/fdbserver.out" 2>&1
if [ ! -e "$folder/fdb-configured" ]; then
  "$cli" -C "$cluster_file" --timeout 60 --exec "configure new single ssd" > /dev/null
  touch "$folder/fdb-configured"
fi
"$cli" -C "$cluster_file" --timeout 60 --exec "status minimal"

for number in $(seq 1 "$count"); do
  data=$folder/node-$number
  mkdir -p "$data"
  rm -f "$data/ready"
  begin "$suda" serve --data "$data" --host 127.0.0.1 --port $((port + number - 1)) --http-port $((http_port + number - 1)) \
    --set store.engine=foundationdb --set store.fdb_cluster_file="$cluster_file" --set node.region=local \
    --set node.public_host=127.0.0.1 > "$data/ready" 2>> "$data/suda.log"
done
for number in $(seq 1 "$count"); do
  data=$folder/node-$number
  for _ in $(seq 1 600); do
    grep -q '^suda ready' "$data/ready" && break
    if ! kill -0 "${pids[$number]}" 2>/dev/null; then
      echo "node $number did not start; the end of $data/suda.log:" >&2
      tail -n 20 "$data/suda.log" >&2
      exit 1
    fi
    sleep 0.1
  done
  echo "node $number: https://127.0.0.1:$((port + number - 1)), http://127.0.0.1:$((http_port + number - 1)), log in $data/suda.log"
done

first=http://127.0.0.1:$http_port
last=http://127.0.0.1:$((http_port + count - 1))
cat <<SAY

All of them: curl -s $first/v1/discovery

Chat from one node to another, with curl (the answers have the tokens and ids):
  curl -s $first/v1/accounts -d '{"handle":"kim","password":"correct horse battery","device":{"name":"a"}}' -H 'content-type: application/json'
  curl -s $last/v1/accounts -d '{"handle":"lee","password":"correct horse battery","device":{"name":"b"}}' -H 'content-type: application/json'
  curl -s -X PUT $first/v1/direct/LEES_ID -H "authorization: Bearer KIMS_TOKEN"
  curl -s $first/v1/channels/CHANNEL/entries -H "authorization: Bearer KIMS_TOKEN" -H 'content-type: application/json' \\
    -d '{"client_msg_id":"5f0c1d9e-3b52-4f4e-9c63-0d9a6b1f2a11","op":{"message":{"body":{"text":"Hello from node 1"}}}}'
  curl -s $last/v1/channels/CHANNEL/entries -H "authorization: Bearer LEES_TOKEN"
or with the SDK, once both have an account; it waits until the other has answered:
  cargo run -p suda-client --example twenty_lines -- $first kim lee

kill -9 ${pids[1]} ends node 1 as a power cut would: its clients go on with the others. Ctrl-C stops all.
SAY
wait -n || true
echo "a process has ended by itself: see the logs in $folder" >&2
# Others go on until Ctrl-C: killing one is what this is for.
wait || true
