pragma circom 2.1.6;

// "The leaf that the coordinator asked for, at the place it asked for, is in the tree with this root."
//
// Knowing *some* leaf under a root proves nothing: whoever has the leaves can always prove leaf 0. So the proof also
// commits to the leaf and its index in `tag`, which the coordinator recomputes; `blinding`, known to coordinator and
// prover only, keeps anybody else from testing candidate leaves against a published tag. `context` names the task: it
// goes into the tag, so a proof for one task is worth nothing for another.
//
// Public signals, in this order: root, tag, context.

include "circomlib/circuits/poseidon.circom";
include "circomlib/circuits/bitify.circom";
include "circomlib/circuits/switcher.circom";

template MerkleTask(depth) {
    signal input value;
    signal input blinding;
    signal input index;
    signal input siblings[depth];
    signal input context;

    signal output root;
    signal output tag;

    // Constrains index to [0, 2^depth): it equals the sum of the very bits that steer the path.
    component path = Num2Bits(depth);
    path.in <== index;

    component leaf = Poseidon(1);
    leaf.inputs[0] <== value;

    component order[depth];
    component parent[depth];
    signal ancestor[depth + 1];
    ancestor[0] <== leaf.out;
    for (var level = 0; level < depth; level++) {
        order[level] = Switcher();
        order[level].sel <== path.out[level];
        order[level].L <== ancestor[level];
        order[level].R <== siblings[level];

        parent[level] = Poseidon(2);
        parent[level].inputs[0] <== order[level].outL;
        parent[level].inputs[1] <== order[level].outR;
        ancestor[level + 1] <== parent[level].out;
    }
    root <== ancestor[depth];

    // The leading 1 is this statement's version: another statement must never produce the same tag.
    component commitment = Poseidon(5);
    commitment.inputs[0] <== 1;
    commitment.inputs[1] <== value;
    commitment.inputs[2] <== index;
    commitment.inputs[3] <== blinding;
    commitment.inputs[4] <== context;
    tag <== commitment.out;
}

component main {public [context]} = MerkleTask(10);
