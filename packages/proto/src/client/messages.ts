/**
 * The API's messages as protobuf-es has them: types, schemas, and `AdminService`, the descriptor of the service; with the
 * google.rpc messages that errors carry. Large, and of no use to the wire of control and agents, which has its own codecs.
 */
export type { MessageJsonType } from '@bufbuild/protobuf';
export * from '#messages/google/rpc/error_details_pb';
export * from '#messages/google/rpc/status_pb';
export * from '#messages/weft/v1/admin_pb';
export * from '#messages/weft/v1/flow_pb';
export * from '#messages/weft/v1/mesh_pb';
