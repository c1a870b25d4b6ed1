# main.sh - the end of build.sh: the parts that the declaration needs, in this order.

case $MODE in
build | check) ;;
*)
        echo "usage: build.sh build|check" >&2
        exit 2
        ;;
esac
if [ -n "${ERRAND_INSIDE-}" ]; then
        PARTS=$ERRAND_PARTS
elif [ -n "$CONTAINER" ]; then
        "container_$MODE"
        exit 0
fi
for part in $PARTS; do
        "${part}_$MODE"
done
rm -f "$OUT" "$TMPDIR/status.$$"
exit 0
