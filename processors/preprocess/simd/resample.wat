;; Separable resampling of rows of bytes: first `vertical`, then `horizontal`, each a weighted sum of `taps` neighbours.
;; Weights are int16 in 16384ths; a sum is rounded, shifted back and saturated to 0..255, as libvips and Pillow do between
;; the passes. i32x4.dot_i16x8_s adds two weighted neighbours at once, so neighbours are interleaved in pairs.
;; Addresses are bytes of the memory. Reads and writes run over the end of a row by up to 32 bytes.

(module
  (memory (export "memory") 16)

  ;; One output row after the other: sums whole source rows, 32 bytes at a time, whatever their pixels are.
  ;; $table: for each output row the first source row (i32), then $taps weights (an even number of i16).
  (func (export "vertical")
    (param $source i32) (param $stride i32) (param $bytes i32)
    (param $table i32) (param $taps i32) (param $rows i32)
    (param $target i32) (param $targetStride i32)
    (local $x i32) (local $weight i32) (local $weights i32) (local $at i32) (local $to i32)
    (local $a v128) (local $b v128) (local $pair v128) (local $w v128)
    (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128)
    (local $s4 v128) (local $s5 v128) (local $s6 v128) (local $s7 v128)
    loop $row
      local.get $table  i32.const 4  i32.add  local.tee $weight
      local.get $taps  i32.const 2  i32.mul  i32.add  local.set $weights
      i32.const 0  local.set $x
      loop $column
        local.get $table  i32.load  local.get $stride  i32.mul
        local.get $source  i32.add  local.get $x  i32.add  local.set $at
        local.get $table  i32.const 4  i32.add  local.set $weight
        i32.const 8192  i32x4.splat  local.tee $s0  local.tee $s1  local.tee $s2  local.tee $s3
        local.tee $s4  local.tee $s5  local.tee $s6  local.set $s7
        loop $tap
          local.get $weight  v128.load32_splat  local.set $w
          local.get $at  local.get $stride  i32.add  local.set $to
          local.get $at  v128.load  local.set $a
          local.get $to  v128.load  local.set $b
          local.get $a  local.get $b  i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23  local.set $pair
          local.get $pair  i16x8.extend_low_i8x16_u  local.get $w  i32x4.dot_i16x8_s  local.get $s0  i32x4.add  local.set $s0
          local.get $pair  i16x8.extend_high_i8x16_u  local.get $w  i32x4.dot_i16x8_s  local.get $s1  i32x4.add  local.set $s1
          local.get $a  local.get $b  i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31  local.set $pair
          local.get $pair  i16x8.extend_low_i8x16_u  local.get $w  i32x4.dot_i16x8_s  local.get $s2  i32x4.add  local.set $s2
          local.get $pair  i16x8.extend_high_i8x16_u  local.get $w  i32x4.dot_i16x8_s  local.get $s3  i32x4.add  local.set $s3
          local.get $at  v128.load offset=16  local.set $a
          local.get $to  v128.load offset=16  local.set $b
          local.get $a  local.get $b  i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23  local.set $pair
          local.get $pair  i16x8.extend_low_i8x16_u  local.get $w  i32x4.dot_i16x8_s  local.get $s4  i32x4.add  local.set $s4
          local.get $pair  i16x8.extend_high_i8x16_u  local.get $w  i32x4.dot_i16x8_s  local.get $s5  i32x4.add  local.set $s5
          local.get $a  local.get $b  i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31  local.set $pair
          local.get $pair  i16x8.extend_low_i8x16_u  local.get $w  i32x4.dot_i16x8_s  local.get $s6  i32x4.add  local.set $s6
          local.get $pair  i16x8.extend_high_i8x16_u  local.get $w  i32x4.dot_i16x8_s  local.get $s7  i32x4.add  local.set $s7
          local.get $to  local.get $stride  i32.add  local.set $at
          local.get $weight  i32.const 4  i32.add  local.tee $weight
          local.get $weights  i32.lt_u  br_if $tap
        end
        local.get $target  local.get $x  i32.add  local.tee $to
        local.get $s0  i32.const 14  i32x4.shr_s  local.get $s1  i32.const 14  i32x4.shr_s  i16x8.narrow_i32x4_s
        local.get $s2  i32.const 14  i32x4.shr_s  local.get $s3  i32.const 14  i32x4.shr_s  i16x8.narrow_i32x4_s
        i8x16.narrow_i16x8_u  v128.store
        local.get $to
        local.get $s4  i32.const 14  i32x4.shr_s  local.get $s5  i32.const 14  i32x4.shr_s  i16x8.narrow_i32x4_s
        local.get $s6  i32.const 14  i32x4.shr_s  local.get $s7  i32.const 14  i32x4.shr_s  i16x8.narrow_i32x4_s
        i8x16.narrow_i16x8_u  v128.store offset=16
        local.get $x  i32.const 32  i32.add  local.tee $x
        local.get $bytes  i32.lt_u  br_if $column
      end
      local.get $target  local.get $targetStride  i32.add  local.set $target
      local.get $weights  local.set $table
      local.get $rows  i32.const 1  i32.sub  local.tee $rows  br_if $row
    end)

  ;; One RGB pixel after the other, of two rows at once; four source pixels (12 of the 16 bytes read) are two pairs.
  ;; $pairs: of rows; where the rows are odd in number, one more is read and written behind the last.
  ;; $table: for each output column the first source pixel's byte (i32), then $taps weights (i16, a multiple of four).
  ;; $bias: four i32 that the sums of red, green, blue and nothing begin with: a half to round, and what the decoder owes.
  ;; Bytes are put in place by swizzle and constants: engines build the mask of a general shuffle anew at each turn.
  (func (export "horizontal")
    (param $source i32) (param $stride i32)
    (param $table i32) (param $taps i32) (param $columns i32) (param $pairs i32)
    (param $target i32) (param $targetStride i32) (param $bias i32)
    (local $column i32) (local $weight i32) (local $weights i32) (local $at i32) (local $under i32)
    (local $pixels v128) (local $w0 v128) (local $w1 v128) (local $upper v128) (local $lower v128)
    (local $begin v128) (local $first v128) (local $second v128)
    local.get $bias  v128.load  local.set $begin
    v128.const 0 255 3 255 1 255 4 255 2 255 5 255 255 255 255 255  local.set $first
    v128.const 6 255 9 255 7 255 10 255 8 255 11 255 255 255 255 255  local.set $second
    loop $pair
      local.get $table  local.set $weight
      local.get $columns  local.set $column
      loop $pixel
        local.get $weight  i32.load  local.get $source  i32.add  local.tee $at
        local.get $stride  i32.add  local.set $under
        local.get $weight  i32.const 4  i32.add  local.tee $weight
        local.get $taps  i32.const 2  i32.mul  i32.add  local.set $weights
        local.get $begin  local.tee $upper  local.set $lower
        loop $tap
          local.get $weight  v128.load32_splat  local.set $w0
          local.get $weight  v128.load32_splat offset=4  local.set $w1
          local.get $at  v128.load  local.tee $pixels
          local.get $first  i8x16.swizzle  local.get $w0  i32x4.dot_i16x8_s  local.get $upper  i32x4.add
          local.get $pixels  local.get $second  i8x16.swizzle  local.get $w1  i32x4.dot_i16x8_s  i32x4.add  local.set $upper
          local.get $under  v128.load  local.tee $pixels
          local.get $first  i8x16.swizzle  local.get $w0  i32x4.dot_i16x8_s  local.get $lower  i32x4.add
          local.get $pixels  local.get $second  i8x16.swizzle  local.get $w1  i32x4.dot_i16x8_s  i32x4.add  local.set $lower
          local.get $at  i32.const 12  i32.add  local.set $at
          local.get $under  i32.const 12  i32.add  local.set $under
          local.get $weight  i32.const 8  i32.add  local.tee $weight
          local.get $weights  i32.lt_u  br_if $tap
        end
        local.get $upper  i32.const 14  i32x4.shr_s  local.get $lower  i32.const 14  i32x4.shr_s  i16x8.narrow_i32x4_s
        local.tee $pixels  local.get $pixels  i8x16.narrow_i16x8_u  local.set $pixels
        ;; Below, four bytes for three: the fourth is written over by the next pixel. Above, it would hit the row below, which is there already.
        local.get $target  local.get $pixels  v128.store16_lane 0
        local.get $target  local.get $pixels  v128.store8_lane offset=2 2
        local.get $target  local.get $targetStride  i32.add  local.get $pixels  i32x4.extract_lane 1  i32.store
        local.get $target  i32.const 3  i32.add  local.set $target
        local.get $column  i32.const 1  i32.sub  local.tee $column  br_if $pixel
      end
      local.get $source  local.get $stride  i32.const 2  i32.mul  i32.add  local.set $source
      local.get $target  local.get $targetStride  i32.add  local.set $target
      local.get $pairs  i32.const 1  i32.sub  local.tee $pairs  br_if $pair
    end))
