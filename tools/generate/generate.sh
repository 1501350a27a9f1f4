#!/bin/sh
# Generates the wire's Go code with the versions that the committed files name,
# so that it comes out the same on every machine. It needs npx, for buf.
set -eu
cd "$(dirname "$0")/../.."

plugins=$PWD/build/plugins
GOFLAGS='' GOBIN=$plugins go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
GOFLAGS='' GOBIN=$plugins go install connectrpc.com/connect/cmd/protoc-gen-connect-go@v1.21.1
cd upstream/wire
PATH=$plugins:$PATH npx --yes @bufbuild/buf@1.75.0 generate
