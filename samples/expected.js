// SPDX-License-Identifier: Apache-2.0
// Run FOLDER/model.onnx over FOLDER/test_x.npy with ONNX Runtime and write the
// outputs to FOLDER/expected.npy (float32 [N,10]); print the test accuracy.
//
//     NODE_PATH=.../node_modules node expected.js FOLDER
//
// Needs the npm package onnxruntime-node.
'use strict';
const fs = require('fs');
const path = require('path');
const ort = require('onnxruntime-node');

function readNpy(file) {
  const raw = fs.readFileSync(file);
  const length = raw.readUInt16LE(8);     // .npy format version 1
  const header = raw.toString('latin1', 10, 10 + length);
  const type = /'descr': '([^']+)'/.exec(header)[1];
  const shape = /'shape': \(([^)]*)\)/.exec(header)[1]
    .split(',').filter((s) => s.trim()).map(Number);
  const bytes = new Uint8Array(raw.subarray(10 + length)).buffer;
  const data = type === '<f4' ? new Float32Array(bytes)
    : Array.from(new BigInt64Array(bytes), Number);
  return { shape, data };
}

function writeNpy(file, shape, data) {
  let header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${
    shape.join(', ')}), }`;
  const total = Math.ceil((header.length + 11) / 64) * 64;
  header = header.padEnd(total - 11) + '\n';
  const start = Buffer.from('\x93NUMPY\x01\x00\x00\x00', 'latin1');
  start.writeUInt16LE(header.length, 8);
  fs.writeFileSync(file, Buffer.concat([start, Buffer.from(header, 'latin1'),
    Buffer.from(data.buffer)]));
}

async function main(folder) {
  const x = readNpy(path.join(folder, 'test_x.npy'));
  const y = readNpy(path.join(folder, 'test_y.npy')).data;
  const session = await ort.InferenceSession.create(
    path.join(folder, 'model.onnx'),
    { graphOptimizationLevel: 'disabled', intraOpNumThreads: 1 });
  const count = x.shape[0];
  const result = new Float32Array(count * 10);
  let right = 0;
  for (let i = 0; i < count; i++) {
    const image = x.data.slice(i * 64, i * 64 + 64);
    const output = await session.run(
      { image: new ort.Tensor('float32', image, [1, 1, 8, 8]) });
    const row = output.probabilities.data;
    result.set(row, i * 10);
    if (row.indexOf(Math.max(...row)) === y[i]) right++;
  }
  writeNpy(path.join(folder, 'expected.npy'), [count, 10], result);
  console.log(`${right} of ${count} right, ${
    (100 * right / count).toFixed(2)} %`);
}

main(process.argv[2]);
