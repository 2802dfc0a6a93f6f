/**
 * 64-bit fields as plain numbers. protobufjs reads them as Long objects wherever the package of that name can be loaded,
 * and decides so when generated code loads: this must be imported first. Numbers past 2^53 lose digits, and are refused
 * by every reader of wire messages.
 */
import protobuf from 'protobufjs/minimal.js';

Reflect.set(protobuf.util, 'Long', null);
protobuf.configure();
