# main.sh - the end of build.sh: the parts that the declaration needs, in this order.

for part in $PARTS; do
        case $MODE in
        build) "${part}_build" ;;
        check) "${part}_check" ;;
        *)
                echo "usage: build.sh build|check" >&2
                exit 2
                ;;
        esac
done
rm -f "$OUT" "$TMPDIR/status.$$"
exit 0
